package pgdb

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"pasdetrois/pkg/platform/fault"
)

// Only this file maps an SQLSTATE to what the caller may do. docs/decisions/0017 gives the reasons.

// Outcome is the kind of a failed statement or transaction, by what its caller may do:
//
//	Again        repeat at once, a few times    (Retry and InTx do it)
//	Unavailable  answer 503, or retry later
//	NotSetUp     as Unavailable, until an operator acts
//	Refused      park the message: the same data fails each time
//	Unexpected   log it, and answer 500
type Outcome int

const (
	// Unexpected errors are a fault of the program or of the server's data: an operator must examine them.
	Unexpected Outcome = iota
	// Again errors undo the statement for a reason that a repetition cures. Retry and InTx repeat it a few times.
	Again
	// Unavailable errors pass by themselves: the server is away, busy, read-only or moved.
	Unavailable
	// NotSetUp errors pass when an operator has acted: the schema is not migrated that far, or a grant is missing. A service
	// waits; a tool reports it and exits.
	NotSetUp
	// Refused errors are about the data: the same data fails each time.
	Refused
)

// reasonRefused is the reason of a message whose data the database will never take.
const reasonRefused = "refused_by_database"

// ErrReadOnly means that the server takes no writes. pgdb does not keep a connection to such a server.
var ErrReadOnly = errors.New("the server takes no writes: it is a standby, or default_transaction_read_only is on")

// byCode has the codes whose outcome differs from that of their class.
var byCode = map[string]Outcome{
	"40001": Again, // serialization_failure
	"40P01": Again, // deadlock_detected

	"25006": Unavailable, // read_only_sql_transaction: a demoted server
	"25P03": Unavailable, // idle_in_transaction_session_timeout: this process stood still
	"25P04": Unavailable, // transaction_timeout
	"55000": Unavailable, // object_not_in_prerequisite_state: the server recovers, or the database takes no connections
	"55006": Unavailable, // object_in_use: a database that is being moved
	"55P03": Unavailable, // lock_not_available: lock_timeout

	// A rollout may start a program before its migration has run, and a grant that was lost comes back. The request is right.
	"3D000": NotSetUp, // invalid_catalog_name: no such database
	"3F000": NotSetUp, // invalid_schema_name
	"42501": NotSetUp, // insufficient_privilege
	"42P01": NotSetUp, // undefined_table
	"42703": NotSetUp, // undefined_column
	"42883": NotSetUp, // undefined_function

	// A pooler has given the session's prepared statements to another session.
	"26000": Unavailable, // invalid_sql_statement_name
	"42P05": Unavailable, // duplicate_prepared_statement

	"23514": Refused, // check_violation
}

var byClass = map[string]Outcome{
	"08": Unavailable, // connection exception
	"28": Unavailable, // invalid authorization: a password was changed
	"40": Unavailable, // transaction rollback, such as 40003, whose outcome is unknown
	"53": Unavailable, // insufficient resources: too many connections, disk full
	"57": Unavailable, // operator intervention: shutdown, statement_timeout
	"58": Unavailable, // system error

	"22": Refused, // data exception
}

// OutcomeOf classifies err. It uses the SQLSTATE and the types of errors, never their text: the server translates texts.
func OutcomeOf(err error) Outcome {
	if err == nil || errors.Is(err, context.Canceled) {
		return Unexpected
	}
	var connect *pgconn.ConnectError
	var network net.Error
	var sequence *SequenceError
	switch pg := serverError(err); {
	case errors.As(err, &sequence): // `pas migrate` moves the sequence
		return NotSetUp
	case errors.As(err, &connect): // with any SQLSTATE: the server refused the connection
		return Unavailable
	case pg != nil:
		return ofServer(pg)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF): // the connection ended in the middle of an answer
		return Unavailable
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrCommitUnknown),
		errors.Is(err, ErrReadOnly), pgconn.SafeToRetry(err), pgconn.Timeout(err):
		return Unavailable
	default:
		return Unexpected
	}
}

func ofServer(pg *pgconn.PgError) Outcome {
	if isStalePlan(pg) {
		return Again
	}
	if o, ok := byCode[pg.Code]; ok {
		return o
	}
	if len(pg.Code) == 5 {
		return byClass[pg.Code[:2]]
	}
	return Unexpected
}

// isStalePlan reports whether a prepared statement has another result than when it was prepared, because of a migration.
// Its SQLSTATE stands for anything that is not supported, so the server's routine identifies it. Routines are not translated.
func isStalePlan(pg *pgconn.PgError) bool {
	return pg.Code == "0A000" && pg.Routine == "RevalidateCachedQuery"
}

// isOutdated reports whether the existing connections have to be replaced: all of them lead to a server that takes no writes, or
// have statements that a migration has changed.
func isOutdated(pg *pgconn.PgError) bool { return pg.Code == "25006" || isStalePlan(pg) }

func serverError(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	errors.As(err, &pg)
	return pg
}

// IsUnavailable reports whether err passes without a change of the request, so that the caller may try again. That includes
// errors for which Retry has used all its tries. A cancelled context is no such error.
func IsUnavailable(err error) bool {
	switch OutcomeOf(err) {
	case Again, Unavailable, NotSetUp:
		return true
	default:
		return false
	}
}

// Classify makes an error permanent that the same data always causes. InTx calls it; single statements must call it.
func Classify(err error) error {
	if fault.KindOf(err) == fault.Transient && OutcomeOf(err) == Refused {
		return fault.Wrap(reasonRefused, err)
	}
	return err
}

// IsUniqueViolation reports whether err is a unique violation of the named constraint ("" = any).
func IsUniqueViolation(err error, constraint string) bool {
	pg := serverError(err)
	return pg != nil && pg.Code == "23505" && (constraint == "" || pg.ConstraintName == constraint)
}

// isNotMigrated reports whether the schema has no table yet.
func isNotMigrated(err error) bool {
	pg := serverError(err)
	return pg != nil && pg.Code == "42P01"
}
