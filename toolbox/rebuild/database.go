package rebuild

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
)

// Open opens the database of a service with the service's own login. It does not connect.
func Open(databaseURL, service string) (*pgxpool.Pool, error) {
	return pgdb.Open(pgdb.Config{URL: databaseURL, Schema: service, AppName: "pas-rebuild-" + service, MaxConns: 4})
}

// ownSQL returns the database, the login, the owner of the schema ("" when there is none), whether the login may write the schema's
// rows, and the services that have a schema. A schema without tables was never migrated.
const ownSQL = `SELECT current_database(), current_user::text, coalesce(pg_get_userbyid(own.nspowner), ''), 
  coalesce((SELECT has_table_privilege(c.oid, 'INSERT') FROM pg_class c WHERE c.relnamespace = own.oid AND c.relname = 'dead_letters'),
    has_schema_privilege(own.oid, 'USAGE'), false),
  coalesce((SELECT string_agg(nspname, ', ' ORDER BY nspname) FROM pg_namespace WHERE nspname = ANY ($2::text[])), '')
FROM (SELECT) one LEFT JOIN pg_namespace own ON own.nspname = $1`

const versionSQL = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`

// checkDatabase makes sure that the schema is there, is the login's own and at the newest version.
func checkDatabase(ctx context.Context, pool *pgxpool.Pool, service string) error {
	var database, login, owner, schemas string
	var own bool
	ask := func() error {
		return pool.QueryRow(ctx, ownSQL, service, messages.Services()).Scan(&database, &login, &owner, &own, &schemas)
	}
	err := ask()
	var unusable *pgdb.UnusableError
	if err != nil && ctx.Err() == nil && !errors.As(err, &unusable) {
		err = ask() // the first connection may only have found out that there is a pooler
	}
	newest, newestErr := migrations.Newest(service)
	switch {
	case err != nil:
		return connecting(err)
	case newestErr != nil:
		return newestErr
	case owner == "" && schemas != "":
		return &DatabaseError{fmt.Sprintf("the database %s has no schema %s; it is the one of %s", database, service, schemas), "give the database that the service uses"}
	case owner == "":
		return &DatabaseError{fmt.Sprintf("the database %s has no schema %s", database, service), "create it with `pas migrate`, or give the database that the service uses"}
	case !own:
		return &DatabaseError{fmt.Sprintf("%s may not write the schema %s, which belongs to %s", login, service, owner), "give the login that the service itself uses"}
	}
	var version int64
	if err := pool.QueryRow(ctx, versionSQL).Scan(&version); err != nil {
		var answer *pgconn.PgError
		if errors.As(err, &answer) && pgdb.OutcomeOf(answer) == pgdb.NotSetUp {
			return &DatabaseError{fmt.Sprintf("the schema %s was never migrated", service), "run `pas migrate` first"}
		}
		return fmt.Errorf("read the version of the schema %s: %w", service, err)
	}
	switch {
	case version < newest:
		return &DatabaseError{fmt.Sprintf("the schema %s is at version %d, and this pas needs %d", service, version, newest), "run `pas migrate` first"}
	case version > newest:
		return &DatabaseError{fmt.Sprintf("the schema %s is at version %d, and this pas has %d only", service, version, newest), "use the pas of the version that the services have"}
	}
	return nil
}

// connecting makes an error of the first connection short. It has no password.
func connecting(err error) error {
	var answer *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &answer) && (strings.HasPrefix(answer.Code, "28") || answer.Code == "3D000"):
		return &DatabaseError{answer.Message, "check user, password and database in the URL"}
	case errors.As(err, &answer):
		return err
	case errors.As(err, &connect):
		return &DatabaseError{fmt.Sprintf("cannot connect to Postgres at %s:%d: %s", connect.Config.Host, connect.Config.Port, oneLine(connect.Unwrap())), "check host and port in the URL"}
	}
	return err
}

// oneLine joins the lines of an error: pgx has one for each address that it tried.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}
