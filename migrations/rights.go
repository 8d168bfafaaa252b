package migrations

import (
	"context"
	"database/sql"
	"fmt"
)

// aheadSQL returns true when the owner's next tables would come without rights of the runtime role.
const aheadSQL = `
SELECT NOT EXISTS (SELECT FROM pg_default_acl d, aclexplode(defaclacl) a WHERE defaclrole = o.oid AND defaclnamespace = n.oid
    AND defaclobjtype = 'r' AND a.grantee = r.oid AND a.privilege_type = 'DELETE')
  OR NOT EXISTS (SELECT FROM pg_default_acl d, aclexplode(defaclacl) a WHERE defaclrole = o.oid AND defaclnamespace = n.oid
    AND defaclobjtype = 'S' AND a.grantee = r.oid AND a.privilege_type = 'SELECT')
  OR NOT EXISTS (SELECT FROM pg_default_acl d, aclexplode(defaclacl) a WHERE defaclrole = o.oid AND defaclnamespace = n.oid
    AND defaclobjtype = 'f' AND a.grantee = r.oid)
  OR NOT EXISTS (SELECT FROM pg_default_acl WHERE defaclrole = o.oid AND defaclnamespace = 0 AND defaclobjtype = 'f')
FROM pg_namespace n, pg_roles o, pg_roles r WHERE nspname = $1 AND o.rolname = $2 AND r.rolname = $3`

// Postgres lets everybody run each function unless the default says otherwise, and only the default of all schemas can.
const aheadOfTablesSQL = `
ALTER DEFAULT PRIVILEGES IN SCHEMA %[1]s GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %[2]s;
ALTER DEFAULT PRIVILEGES IN SCHEMA %[1]s GRANT USAGE, SELECT ON SEQUENCES TO %[2]s;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA %[1]s GRANT EXECUTE ON FUNCTIONS TO %[2]s`

// setRights gives the runtime role its rights on tables, sequences and functions that later migrations make. db acts as the owner.
func setRights(ctx context.Context, db *sql.DB, service string, roles Roles) error {
	return while(ctx, db, aheadSQL, []any{service, roles.Owner(), roles.Runtime},
		fmt.Sprintf(aheadOfTablesSQL, service, quoted(roles.Runtime)))
}

// openSQL returns true when the runtime role may change more than it should: the versions of the schema, or a table through a
// view, which Postgres checks with the rights of the view's owner.
const openSQL = `
SELECT coalesce(string_agg(format('REVOKE INSERT, UPDATE, DELETE ON %I.%I FROM %I', nspname, relname, $2::text), '; ' ORDER BY relname), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = $1 AND (relname = 'goose_db_version' OR relkind IN ('v', 'm')) AND EXISTS (
  SELECT FROM aclexplode(relacl) a WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = $2)
    AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE'))`

// narrow takes back what the default rights give the runtime role on views and on goose's table. db acts as the owner.
func narrow(ctx context.Context, db *sql.DB, service string, roles Roles) error {
	return again(func() error {
		var statements string
		err := db.QueryRowContext(ctx, openSQL, service, roles.Runtime).Scan(&statements)
		if err == nil && statements != "" {
			_, err = db.ExecContext(ctx, statements)
		}
		return err
	})
}

// while runs statements as long as the query returns true and others change the same rights.
func while(ctx context.Context, db *sql.DB, query string, args []any, statements string) error {
	return again(func() error {
		var missing bool
		err := db.QueryRowContext(ctx, query, args...).Scan(&missing)
		if err == nil && missing {
			_, err = db.ExecContext(ctx, statements)
		}
		return err
	})
}
