// Package hint adds to an error the step that a person can take. The package that makes an error adds its hint there,
// because the cause is clearest there; the command line only prints it. An error type may have its own Hint method
// instead.
package hint

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"pasdetrois/pkg/platform/pgdb"
)

// Error is an error with a hint. Its text is that of Err.
type Error struct {
	Err  error
	Text string
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Hint returns the hint.
func (e *Error) Hint() string { return e.Text }

// Add returns err with a hint; nil stays nil.
func Add(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Err: err, Text: fmt.Sprintf(format, args...)}
}

// Of returns the outermost hint of err; "" when it has none.
func Of(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// Auditor adds a hint to an error of a database that the auditor reads: a rejected login, a schema that is too old, a
// server that cannot be reached. Other errors, those with a hint, and the end of the context stay as they are.
func Auditor(err error) error {
	var answer *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case Of(err) != "" || errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &answer) && refusedLogin(answer):
		return Add(errors.New(answer.Message), "check user, password and database in AUDIT_DATABASE_URL")
	case errors.As(err, &answer) && pgdb.OutcomeOf(answer) == pgdb.NotSetUp:
		return Add(errors.New(answer.Message), "bring the database to the newest version with `pas migrate`, and use the role that it was given in AUDIT_DATABASE_URL, or auditor")
	case errors.As(err, &answer):
		return Server(err)
	case errors.As(err, &connect):
		return Add(fmt.Errorf("cannot connect to Postgres at %s:%d", connect.Config.Host, connect.Config.Port), "check host and port in AUDIT_DATABASE_URL")
	}
	return err
}

// refusedLogin reports whether the server rejects this user, password or database (class 28 and 3D000).
func refusedLogin(answer *pgconn.PgError) bool {
	return strings.HasPrefix(answer.Code, "28") || answer.Code == "3D000"
}

// Server adds a hint to a rejection that concerns the Postgres server and not the statement: a standby, a lock, an
// overload. Other errors stay as they are.
func Server(err error) error {
	var answer *pgconn.PgError
	switch {
	case !errors.As(err, &answer):
		return err
	case answer.Code == "25006":
		return Add(err, "the server is a standby or read-only: name the one that takes writes in the URL")
	case answer.Code == "55P03":
		return Add(err, "a transaction that is open holds a lock: look at pg_stat_activity and pg_locks, and run the command again")
	}
	switch pgdb.OutcomeOf(answer) {
	case pgdb.Again, pgdb.Unavailable:
		return Add(err, "nothing is wrong with the command: run it again when the server takes work")
	default:
		return err
	}
}
