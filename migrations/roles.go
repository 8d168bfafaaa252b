package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Auditor is the usual name of the role that reads all three schemas and writes nothing.
const Auditor = "auditor"

// Runtime stands in the SQL files for the role that the service logs in with.
const Runtime = "runtime"

// ownerSuffix makes the name of the owner from that of the runtime role.
const ownerSuffix = "_owner"

// LongestRuntime is the longest name of a runtime role, in bytes: Postgres keeps 63 bytes, and the owner's name is longer.
const LongestRuntime = 63 - len(ownerSuffix)

// Roles are the roles of one service's schema. A role belongs to all databases of a server, so two installations on one
// server need roles of their own. The schema keeps its name.
//
//	Owner    owns the schema and all that is in it; nobody logs in with it
//	Runtime  the service logs in with it: reads and writes rows
//	Auditor  reads the schema
type Roles struct {
	Runtime string
	Auditor string
}

// RolesOf returns the usual roles of a service: the one of its name, and the auditor.
func RolesOf(service string) Roles { return Roles{Runtime: service, Auditor: Auditor} }

// Owner returns the name of the role that owns the schema.
func (r Roles) Owner() string { return r.Runtime + ownerSuffix }

// makeRoles makes the roles that are missing. A role that exists is left as it is.
func makeRoles(ctx context.Context, admin *pgx.Conn, roles Roles) error {
	if len(roles.Runtime) > LongestRuntime {
		return &LongNameError{roles.Runtime}
	}
	if err := makeRole(ctx, admin, makeOwnerSQL, roles.Owner()); err != nil {
		return &OwnerRightsError{Owner: roles.Owner(), err: err}
	}
	for _, role := range []string{roles.Runtime, roles.Auditor} {
		if err := makeRole(ctx, admin, makeRoleSQL, role); err != nil {
			return err
		}
	}
	if err := checkRuntime(ctx, admin, roles); err != nil {
		return err
	}
	// A role that is no superuser makes a schema only for a role of which it is a member.
	if err := join(ctx, admin, roles.Owner()); err != nil {
		return &OwnerRightsError{Owner: roles.Owner(), err: err}
	}
	return nil
}

// ALTER and CREATE ROLE take no parameters, so the server quotes them.
const (
	makeRoleSQL = `
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $1::text) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`
	makeOwnerSQL = `
SELECT format('CREATE ROLE %I NOLOGIN', $1::text) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`
)

// makeRole makes a role by the statement that sql returns, unless it exists. A login role gets its name as password.
func makeRole(ctx context.Context, admin *pgx.Conn, sql, role string) error {
	var create string
	err := admin.QueryRow(ctx, sql, role).Scan(&create)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil {
		_, err = admin.Exec(ctx, create)
	}
	// Roles belong to the whole server, so another database's migration may make the role at the same moment.
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "42710" || refused.Code == uniqueViolation) { // duplicate_object, unique_violation
		return nil
	}
	return err
}

const memberSQL = `SELECT pg_has_role($1, 'USAGE')`

// join makes the migrating role a member of another role, unless it is one or is a superuser.
func join(ctx context.Context, admin *pgx.Conn, role string) error {
	var member bool
	if err := admin.QueryRow(ctx, memberSQL, role).Scan(&member); err != nil || member {
		return err
	}
	_, err := admin.Exec(ctx, "GRANT "+quoted(role)+" TO CURRENT_USER")
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == uniqueViolation { // another database's migration has granted it just now
		return nil
	}
	return err
}

// A superuser may everything and is a member of no role: see PowerError.
const runtimeSQL = `SELECT rolname = current_user, NOT rolsuper AND pg_has_role(oid, $2::text, 'MEMBER') FROM pg_roles WHERE rolname = $1`

// checkRuntime returns an error when the runtime role has the owner's rights, or is the one that migrates.
func checkRuntime(ctx context.Context, admin *pgx.Conn, roles Roles) error {
	var migrates, member bool
	if err := admin.QueryRow(ctx, runtimeSQL, roles.Runtime, roles.Owner()).Scan(&migrates, &member); err != nil {
		return fmt.Errorf("look at role %s: %w", roles.Runtime, err)
	}
	switch {
	case migrates:
		return &PowerError{roles.Runtime}
	case member:
		return &MemberError{roles}
	}
	return nil
}

// PowerError means that a role can do more than a service's or an auditor's role may.
type PowerError struct{ Role string }

// Error implements error.
func (e *PowerError) Error() string {
	return fmt.Sprintf("the role %s is a superuser, makes roles or is the one that migrates: a service needs a role of its own", e.Role)
}

// Hint says which role to name.
func (e *PowerError) Hint() string { return "name another role in the service's URL" }

// MemberError means that a service's role has the rights of the role that owns its schema.
type MemberError struct{ Roles Roles }

// Error implements error.
func (e *MemberError) Error() string {
	return fmt.Sprintf("the role %s is a member of %s: a service must not have the rights of its schema's owner", e.Roles.Runtime, e.Roles.Owner())
}

// Hint has the statement that ends the membership.
func (e *MemberError) Hint() string {
	return fmt.Sprintf("run REVOKE %s FROM %s", quoted(e.Roles.Owner()), quoted(e.Roles.Runtime))
}

// LongNameError means that Postgres would cut the owner's name.
type LongNameError struct{ Role string }

// Error implements error.
func (e *LongNameError) Error() string {
	return fmt.Sprintf("the role %s: a role's name has at most %d bytes, because its owner is called %s", e.Role, LongestRuntime, e.Role+ownerSuffix)
}

// Hint says what to do.
func (e *LongNameError) Hint() string {
	return "give the role a shorter name: ALTER ROLE … RENAME TO …"
}

// OwnerRightsError means that the migrating role can neither make the role that owns a schema nor act as it.
type OwnerRightsError struct {
	Owner string
	err   error
}

// Error implements error.
func (e *OwnerRightsError) Error() string {
	return fmt.Sprintf("role %s, which owns the schema: %s", e.Owner, e.err)
}

// Unwrap returns the server's error.
func (e *OwnerRightsError) Unwrap() error { return e.err }

// Hint has the statements for an administrator, when the server refused them to the migrating role.
func (e *OwnerRightsError) Hint() string {
	var refused *pgconn.PgError
	if !errors.As(e.err, &refused) || refused.Code != "42501" {
		return ""
	}
	return strings.NewReplacer("OWNER", quoted(e.Owner)).Replace(
		"let an administrator run CREATE ROLE OWNER NOLOGIN (unless it exists) and GRANT OWNER TO the role that migrates")
}

// OwnerError means that a schema belongs to another role than the one that was named, and not to that one's owner.
type OwnerError struct{ Schema, Owner, Named string }

// Error implements error.
func (e *OwnerError) Error() string {
	return fmt.Sprintf("the schema %s belongs to the role %s, not to %s", e.Schema, e.Owner, e.Named)
}

// Hint names the setting that migrates a schema of another role.
func (e *OwnerError) Hint() string {
	return fmt.Sprintf("name %s in %s_DATABASE_URL", strings.TrimSuffix(e.Owner, ownerSuffix), strings.ToUpper(e.Schema))
}
