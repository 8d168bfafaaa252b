package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
)

// letInSQL returns the statements that let roles connect by a right of their own, and make no temporary tables by one: "" for none.
const letInSQL = `
SELECT coalesce(string_agg(
  CASE WHEN NOT connects THEN format('GRANT CONNECT ON DATABASE %I TO %I; ', datname, rolname) ELSE '' END
  || CASE WHEN temps THEN format('REVOKE TEMPORARY ON DATABASE %I FROM %I; ', datname, rolname) ELSE '' END, '' ORDER BY rolname), '')
FROM pg_database d, pg_roles r
CROSS JOIN LATERAL (SELECT coalesce(bool_or(privilege_type = 'CONNECT'), false) AS connects, coalesce(bool_or(privilege_type = 'TEMPORARY'), false) AS temps
  FROM aclexplode(datacl) WHERE grantee = r.oid) AS has
WHERE datname = current_database() AND rolname = ANY ($1) AND r.oid <> datdba`

// letIn gives the runtime role and the auditor the right to connect to the database. An admin that may not grant it changes
// nothing: the server warns and goes on. The roles then connect by the right of PUBLIC, which only the same admin could take.
func letIn(ctx context.Context, admin *pgx.Conn, roles ...string) error {
	err := again(func() error {
		var statements string
		err := admin.QueryRow(ctx, letInSQL, roles).Scan(&statements)
		if err == nil && statements != "" {
			_, err = admin.Exec(ctx, statements)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("right to connect of %v: %w", roles, err)
	}
	return nil
}

// Door is who may connect to a database, after CloseDatabase.
type Door struct {
	Open bool     // PUBLIC may still connect: the database's owner has to change that
	Kept []string // other roles that use the database: each has a right of its own now
	Lost []string // login roles that use nothing in the database and could connect by the right of PUBLIC
	Owns []string // runtime roles that own the database, and so may do more than they should
}

const (
	// publicSQL returns true when everybody may connect to the database, or make temporary tables there.
	publicSQL = `
SELECT EXISTS (SELECT FROM pg_database d, aclexplode(coalesce(datacl, acldefault('d', datdba))) a
  WHERE datname = current_database() AND a.grantee = 0 AND a.privilege_type IN ('CONNECT', 'TEMPORARY'))`

	// usersSQL returns the roles other than $1 that own something in the database, or may use something there. A role with a power
	// over the whole server counts, too: one that makes roles, or is in a group of Postgres's own such as pg_monitor.
	usersSQL = `
SELECT rolname::text FROM pg_roles r JOIN pg_database d ON datname = current_database()
WHERE NOT rolsuper AND r.oid <> datdba AND rolname <> ALL ($1) AND r.oid >= 16384 AND (
  rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
  OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid AND m.roleid < 16384)
  OR EXISTS (SELECT FROM pg_shdepend s WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid
    AND (s.dbid = d.oid OR s.classid = 'pg_database'::regclass AND s.objid = d.oid)))
ORDER BY 1`

	keepSQL = `SELECT string_agg(format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), role), '; ') FROM unnest($1::text[]) AS role`

	closeSQL = `SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database())`

	// lostSQL returns login roles that cannot connect to the database.
	lostSQL = `SELECT rolname::text FROM pg_roles WHERE rolcanlogin AND NOT has_database_privilege(oid, current_database(), 'CONNECT') ORDER BY 1`

	ownsSQL = `SELECT rolname::text FROM pg_database d JOIN pg_roles r ON r.oid = datdba WHERE datname = current_database() AND rolname = ANY ($1)`
)

// CloseDatabase takes from PUBLIC the right to connect to the database and to make temporary tables there. The services' own roles
// have their right from UpService, so it comes after that. Every other role that uses the database keeps what it could do.
// Safe to run again, and by several at a time. An admin that may not do it changes nothing: see Door.Open.
func CloseDatabase(ctx context.Context, adminURL string, services ...Roles) (door Door, err error) {
	admin, _, err := connect(ctx, adminURL)
	if err != nil {
		return Door{}, err
	}
	defer func() { err = errors.Join(err, admin.Close(context.WithoutCancel(ctx))) }() // closing gives the lock back
	if _, err := admin.Exec(ctx, bootstrapLock); err != nil {
		return Door{}, fmt.Errorf("close the database: %w", err)
	}
	var ours, runtimes []string
	for _, roles := range services {
		ours, runtimes = append(ours, roles.Runtime, roles.Auditor, roles.Owner()), append(runtimes, roles.Runtime)
	}
	err = again(func() (err error) {
		door, err = closeDatabase(ctx, admin, ours, runtimes)
		return err
	})
	if err != nil {
		return Door{}, fmt.Errorf("close the database: %w", err)
	}
	return door, nil
}

func closeDatabase(ctx context.Context, admin *pgx.Conn, ours, runtimes []string) (door Door, err error) {
	if door.Owns, err = pgdb.Collect(ctx, admin, pgx.RowTo[string], ownsSQL, runtimes); err != nil {
		return Door{}, err
	}
	var open bool
	if err := admin.QueryRow(ctx, publicSQL).Scan(&open); err != nil || !open {
		return door, err
	}
	before, err := pgdb.Collect(ctx, admin, pgx.RowTo[string], lostSQL)
	if err != nil {
		return Door{}, err
	}
	if door.Kept, err = pgdb.Collect(ctx, admin, pgx.RowTo[string], usersSQL, ours); err != nil {
		return Door{}, err
	}
	var statements string
	if err := admin.QueryRow(ctx, closeSQL).Scan(&statements); err != nil {
		return Door{}, err
	}
	if len(door.Kept) > 0 {
		var keep string
		if err := admin.QueryRow(ctx, keepSQL, door.Kept).Scan(&keep); err != nil {
			return Door{}, err
		}
		statements = keep + "; " + statements
	}
	if _, err := admin.Exec(ctx, statements); err != nil { // one transaction
		return Door{}, err
	}
	if err := admin.QueryRow(ctx, publicSQL).Scan(&door.Open); err != nil {
		return Door{}, err
	}
	after, err := pgdb.Collect(ctx, admin, pgx.RowTo[string], lostSQL)
	if err != nil {
		return Door{}, err
	}
	door.Lost = slices.DeleteFunc(after, func(role string) bool { return slices.Contains(before, role) })
	return door, nil
}
