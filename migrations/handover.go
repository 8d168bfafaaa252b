package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
)

// In earlier versions the runtime role owned its schema and could drop its tables. The hand-over gives all of it to the owner.
//
//	schema --> each table with its sequences --> views --> sequences apart --> functions
//
// Each thing has a transaction of its own, which locks only that thing and gives the runtime role its rights on it, also
// those of the migrations. So services at work lose no right, and a hand-over that was interrupted is completed by the
// next one. It also repeats the grants where the runtime role has none, as in a database that was restored without them.

// makeSchemaSQL is refused by a server that takes no writes, also where the schema exists.
const makeSchemaSQL = `CREATE SCHEMA IF NOT EXISTS %s AUTHORIZATION %s`

// schemaSQL returns the statements that the schema still needs, "" for none, and whether it belongs to the runtime role.
const schemaSQL = `
WITH roles AS (SELECT $1::text AS schema, $2::text AS owner, $3::text AS runtime),
     there AS (SELECT n.oid, pg_get_userbyid(nspowner) AS nspowner FROM pg_namespace n JOIN roles ON nspname = schema)
SELECT CASE
  WHEN nspowner = runtime THEN format('ALTER SCHEMA %1$I OWNER TO %2$I; GRANT USAGE ON SCHEMA %1$I TO %3$I', schema, owner, runtime)
  ELSE concat(
    CASE WHEN NOT has_schema_privilege(owner, there.oid, 'CREATE') OR NOT has_schema_privilege(owner, there.oid, 'USAGE')
      THEN format('GRANT USAGE, CREATE ON SCHEMA %I TO %I; ', schema, owner) END,
    CASE WHEN NOT has_schema_privilege(runtime, there.oid, 'USAGE') THEN format('GRANT USAGE ON SCHEMA %I TO %I; ', schema, runtime) END,
    CASE WHEN EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.oid = there.oid AND a.grantee = (SELECT oid FROM pg_roles WHERE rolname = runtime) AND a.privilege_type = 'CREATE')
      THEN format('REVOKE CREATE ON SCHEMA %I FROM %I; ', schema, runtime) END)
END, nspowner = runtime
FROM roles, there`

// thingsSQL returns the statements for each thing in the schema that the runtime role owns, or has no right on, the names of
// the thing and of its sequences, and whether the runtime role owns it.
const thingsSQL = `
WITH roles AS (SELECT n.oid AS schema, nspname, r.oid AS runtime, r.rolname AS runtime_name, o.oid AS owner, o.rolname AS owner_name
  FROM pg_namespace n, pg_roles r, pg_roles o WHERE nspname = $1 AND o.rolname = $2 AND r.rolname = $3),
tables AS (
  SELECT CASE WHEN relkind IN ('r', 'p', 'f') THEN 1 WHEN relkind = 'S' THEN 3 ELSE 2 END AS turn,
    relowner = runtime AS owned, format('ALTER TABLE %I.%I OWNER TO %I; ', nspname, relname, owner_name) AS alter_owner,
    format('GRANT %s ON %I.%I TO %I; ', CASE WHEN relname = 'goose_db_version' OR relkind IN ('v', 'm') THEN 'SELECT'
      WHEN relkind = 'S' THEN 'USAGE, SELECT' ELSE 'SELECT, INSERT, UPDATE, DELETE' END, nspname, relname, runtime_name)
    || coalesce((SELECT string_agg(format('GRANT USAGE, SELECT ON %I.%I TO %I; ', nspname, sequence, runtime_name), '') FROM unnest(sequences) AS sequence), '') AS grants,
    ARRAY[relname::text] || sequences AS names
  FROM roles JOIN pg_class c ON relnamespace = schema AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
  CROSS JOIN LATERAL (SELECT coalesce(array_agg(s.relname::text), '{}') AS sequences FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i')) AS owned
  WHERE NOT (relkind = 'S' AND EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype IN ('a', 'i')))
    AND (relowner = runtime OR relowner = owner AND NOT EXISTS (SELECT FROM aclexplode(relacl) a WHERE a.grantee = runtime))),
routines AS (
  SELECT 4 AS turn, proowner = runtime AS owned, format('ALTER ROUTINE %s OWNER TO %I; ', signature, owner_name) AS alter_owner,
    format('REVOKE EXECUTE ON ROUTINE %1$s FROM PUBLIC; GRANT EXECUTE ON ROUTINE %1$s TO %2$I; ', signature, runtime_name) AS grants,
    ARRAY[proname::text] AS names
  FROM roles JOIN pg_proc p ON pronamespace = schema AND prokind <> 'a'
  CROSS JOIN LATERAL (SELECT format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)) AS signature) AS named
  WHERE proowner = runtime OR proowner = owner AND NOT EXISTS (SELECT FROM aclexplode(proacl) a WHERE a.grantee = runtime))
SELECT CASE WHEN owned THEN alter_owner ELSE '' END || grants AS statements, names, owned
FROM (SELECT * FROM tables UNION ALL SELECT * FROM routines) AS things ORDER BY turn, statements`

type thing struct {
	statements string
	names      []string
	owned      bool // by the runtime role
}

// handOver makes the schema, or gives it and what is in it to the owner. It may run again, and beside services at work.
func handOver(ctx context.Context, admin *pgx.Conn, dir named, service string, roles Roles) error {
	if err := insist(ctx, admin, fmt.Sprintf(makeSchemaSQL, service, quoted(roles.Owner()))); err != nil {
		return err
	}
	var statements string
	var owned bool
	if err := admin.QueryRow(ctx, schemaSQL, service, roles.Owner(), roles.Runtime).Scan(&statements, &owned); err != nil {
		return fmt.Errorf("look at the schema: %w", err)
	}
	if owned {
		if err := join(ctx, admin, roles.Runtime); err != nil {
			return fmt.Errorf("become a member of role %s: %w", roles.Runtime, err)
		}
	}
	if statements != "" {
		if err := insist(ctx, admin, statements); err != nil {
			return err
		}
	}
	things, err := pgdb.Collect(ctx, admin, func(row pgx.CollectableRow) (t thing, err error) {
		return t, row.Scan(&t.statements, &t.names, &t.owned)
	}, thingsSQL, service, roles.Owner(), roles.Runtime)
	if err != nil || len(things) == 0 {
		return err
	}
	if !owned && slices.ContainsFunc(things, func(t thing) bool { return t.owned }) {
		if err := join(ctx, admin, roles.Runtime); err != nil {
			return fmt.Errorf("become a member of role %s: %w", roles.Runtime, err)
		}
	}
	if err := insist(ctx, admin, fmt.Sprintf("SET search_path = %s; SET lock_timeout = '%s'", service, lockTimeout)); err != nil {
		return err
	}
	lines, err := dir.lines(Runtime)
	if err != nil {
		return err
	}
	for _, t := range things {
		if err := insist(ctx, admin, t.statements+about(lines, t.names)); err != nil {
			return err
		}
	}
	return nil
}

// insist runs statements, again while another transaction holds a lock or changes the same role or right.
func insist(ctx context.Context, conn *pgx.Conn, statements string) error {
	for try := 1; ; try++ {
		_, err := conn.Exec(ctx, statements)
		switch {
		case err == nil:
			return nil
		case changedMeanwhile(err) && try < alterTries:
			continue
		case try >= lockTries || !waitedInVain(err) || !wait.Sleep(ctx, lockPause):
			return err
		}
	}
}

// ownerSQL finds the owner of a schema in which neither of two roles can make anything.
const ownerSQL = `
SELECT owner.rolname::text FROM pg_namespace n JOIN pg_roles owner ON owner.oid = n.nspowner
WHERE n.nspname = $1 AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname IN ($2, $3) AND has_schema_privilege(r.oid, n.oid, 'CREATE'))`

// CheckOwner returns an OwnerError when the service's schema exists and belongs to another role.
func CheckOwner(ctx context.Context, adminURL, service string, roles Roles) error {
	admin, _, err := connect(ctx, adminURL)
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	return checkOwner(ctx, admin, service, roles)
}

func checkOwner(ctx context.Context, admin *pgx.Conn, service string, roles Roles) error {
	var owner string
	err := admin.QueryRow(ctx, ownerSQL, service, roles.Owner(), roles.Runtime).Scan(&owner)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for the owner of the schema %s: %w", service, err)
	}
	return &OwnerError{Schema: service, Owner: owner, Named: roles.Runtime}
}
