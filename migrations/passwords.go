package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pasdetrois/pkg/platform/pgdb"
)

// SharedError means that other databases of the server use a role, too. Its password is theirs.
type SharedError struct {
	Role      string
	Databases []string
}

// Error implements error.
func (e *SharedError) Error() string {
	return fmt.Sprintf("the role %s has another password, and is also used by: %s", e.Role, strings.Join(e.Databases, ", "))
}

// Hint says how to keep the others' password, or to change it.
func (e *SharedError) Hint() string {
	return "name a role of this installation's own in the URL, or change the password for all of them with --replace-passwords"
}

// sharedSQL returns uses of a role in all other databases of the server: pg_shdepend is shared by all of them.
const sharedSQL = `
SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)
  AND d.datname <> current_database() ORDER BY 1`

// SharedWith returns the other databases of the server in which a role owns or may use something.
func SharedWith(ctx context.Context, adminURL, role string) ([]string, error) {
	admin, _, err := connect(ctx, adminURL)
	if err != nil {
		return nil, err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	return sharedWith(ctx, admin, role)
}

func sharedWith(ctx context.Context, admin *pgx.Conn, role string) ([]string, error) {
	rows, err := admin.Query(ctx, sharedSQL, role)
	if err != nil {
		return nil, fmt.Errorf("look for other databases of role %s: %w", role, err)
	}
	databases, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for other databases of role %s: %w", role, err)
	}
	return databases, nil
}

const powerSQL = `SELECT rolsuper OR rolcreaterole OR rolname = current_user FROM pg_roles WHERE rolname = $1`

// CheckPassword returns the reason why SetPassword should not give a role this password: a PowerError for a role that no service
// should have, or a SharedError for a role whose password other databases rely on. A role that does not exist is fine.
func CheckPassword(ctx context.Context, adminURL, role, password string) error {
	admin, cfg, err := connect(ctx, adminURL)
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	var powerful bool
	err = admin.QueryRow(ctx, powerSQL, role).Scan(&powerful)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look at role %s: %w", role, err)
	case powerful:
		return &PowerError{role}
	}
	databases, err := sharedWith(ctx, admin, role)
	if err != nil || len(databases) == 0 {
		return err
	}
	if letsIn(ctx, cfg, role, password) && !letsIn(ctx, cfg, role, "") {
		return nil
	}
	return &SharedError{Role: role, Databases: databases}
}

// letsIn reports whether the server accepts a role's password. A server that needs none accepts every one.
func letsIn(ctx context.Context, cfg *pgx.ConnConfig, role, password string) bool {
	cfg = cfg.Copy()
	cfg.User, cfg.Password, cfg.ConnectTimeout = role, password, 30*time.Second
	conn, err := pgdb.ConnectDirect(ctx, cfg)
	if err != nil {
		return false
	}
	_ = conn.Close(context.WithoutCancel(ctx))
	return true
}

// SetPassword gives a service's login role, or the auditor's, its password. The role is made when it is not there yet,
// so that it never has the password that Up gives. Safe to run by several at a time: the last one's password stays. It asks
// nothing: see CheckPassword.
func SetPassword(ctx context.Context, adminURL, role, password string) error {
	admin, _, err := connect(ctx, adminURL)
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	if err := makeRole(ctx, admin, makeRoleSQL, role); err != nil {
		return fmt.Errorf("make role %s: %w", role, err)
	}
	var alter string
	if err := admin.QueryRow(ctx, passwordSQL, role, password).Scan(&alter); err != nil {
		return fmt.Errorf("password of role %s: %w", role, err)
	}
	err = again(func() error {
		_, err := admin.Exec(ctx, alter)
		return err
	})
	if err != nil {
		return fmt.Errorf("password of role %s: %w", role, err)
	}
	return nil
}

// ALTER ROLE takes no parameters, so the server quotes them.
const passwordSQL = `SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)`

// Each try has waited for the end of a transaction that changed the role.
const alterTries = 100

// again calls try until no other transaction changed the same role or right meanwhile.
func again(try func() error) error {
	for n := 1; ; n++ {
		if err := try(); !changedMeanwhile(err) || n == alterTries {
			return err
		}
	}
}

// changedMeanwhile: "tuple concurrently updated", for which Postgres has no code of its own, or another transaction added the same
// row to a catalog. No advisory lock keeps others away: those belong to one database, and roles to the whole server.
func changedMeanwhile(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == "XX000" || refused.Code == uniqueViolation && refused.SchemaName == "pg_catalog")
}

const uniqueViolation = "23505"
