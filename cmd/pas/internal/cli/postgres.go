package cli

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"pasdetrois/pkg/platform/pgdb"
)

// isLogin reports whether the server lets nobody in with this user, password and database.
func isLogin(answer *pgconn.PgError) bool {
	return strings.HasPrefix(answer.Code, "28") || answer.Code == "3D000"
}

// explainServer adds what to do about a refusal of the server that has nothing to do with the command.
func explainServer(err error) error {
	var answer *pgconn.PgError
	switch {
	case !errors.As(err, &answer):
		return err
	case answer.Code == "25006":
		return hint(err, "the server is a standby or read-only: name the one that takes writes in the URL")
	case answer.Code == "55P03":
		return hint(err, "a transaction that is open holds a lock: look at pg_stat_activity and pg_locks, and run the command again")
	}
	switch pgdb.OutcomeOf(answer) {
	case pgdb.Again, pgdb.Unavailable:
		return hint(err, "nothing is wrong with the command: run it again when the server takes work")
	default:
		return err
	}
}
