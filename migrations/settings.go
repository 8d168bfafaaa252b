package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pasdetrois/pkg/platform/pgdb"
)

// defaultsSQL returns the defaults that a role has in this database, and the database's name. They count in this database
// only: the role belongs to the whole server.
const defaultsSQL = `
SELECT current_database(), coalesce((SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
  WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = $1) AND datname = current_database()), '{}')`

// setDefaults gives the runtime role the settings that its service's statements are written for. A service that connects to the
// server itself sends them; behind a pooler the sessions have nothing but the role's defaults. It changes only those that differ.
func setDefaults(ctx context.Context, admin *pgx.Conn, service, role string) error {
	var database string
	var now []string
	if err := admin.QueryRow(ctx, defaultsSQL, role).Scan(&database, &now); err != nil {
		return err
	}
	has := make(map[string]bool, len(now))
	for _, setting := range now {
		has[setting] = true
	}
	set := "ALTER ROLE " + quoted(role) + " IN DATABASE " + quoted(database) + " SET "
	statements := ""
	for _, s := range pgdb.RoleSettings(service) {
		if !has[s.Name+"="+s.Value] {
			statements += set + s.Name + " = '" + s.Value + "'; "
		}
	}
	if statements == "" {
		return nil
	}
	err := insist(ctx, admin, statements)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "42501" {
		return err
	}
	// A role may always set its own defaults, so one that may not alter roles does it as the runtime role.
	return insist(ctx, admin, fmt.Sprintf("SET ROLE %s; %s RESET ROLE", quoted(role), statements))
}
