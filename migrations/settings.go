package migrations

import (
	"context"
	"database/sql"

	"pasdetrois/pkg/platform/pgdb"
)

// A role may always set its own defaults. They count in this database only: the role belongs to the whole server.
const databaseSQL = `SELECT current_database()`

// setDefaults gives the role the settings that its service's statements are written for. A service that connects to the
// server itself sends them; behind a pooler the sessions have nothing but the role's defaults. db acts as the role.
func setDefaults(ctx context.Context, db *sql.DB, service, role string) error {
	var database string
	if err := db.QueryRowContext(ctx, databaseSQL).Scan(&database); err != nil {
		return err
	}
	set := "ALTER ROLE " + quoted(role) + " IN DATABASE " + quoted(database) + " SET "
	statements := ""
	for _, s := range pgdb.RoleSettings(service) {
		statements += set + s.Name + " = '" + s.Value + "'; "
	}
	var err error
	for range alterTries {
		if _, err = db.ExecContext(ctx, statements); !changedMeanwhile(err) {
			break
		}
	}
	return err
}
