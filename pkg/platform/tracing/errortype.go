package tracing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"pasdetrois/pkg/platform/fault"
)

// The classes of errors that have neither a reason, nor a code of another system, nor a telling Go type.
const (
	errorTimeout   = "timeout"
	errorCancelled = "cancelled"
)

// Typed is an error with a class of its own, for example the name that another system has for it. There must be few classes,
// because collectors count spans by them.
type Typed interface{ ErrorType() string }

// errorType returns the class of an error for the attribute error.type: the reason of a permanent error, the class of a Typed
// one, the SQLSTATE of Postgres, the reply code of a mail server, or else the Go type of the innermost error. An error's text is
// never a class, because it may differ for each message.
func errorType(err error) string {
	var typed Typed
	var refused *pgconn.PgError
	var waited net.Error
	var answer *textproto.Error
	var system syscall.Errno
	switch {
	case fault.KindOf(err) == fault.Permanent:
		return fault.Reason(err)
	case errors.As(err, &typed):
		return typed.ErrorType()
	case errors.As(err, &refused):
		return refused.Code
	case errors.As(err, &answer):
		return strconv.Itoa(answer.Code)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &waited) && waited.Timeout():
		return errorTimeout
	case errors.Is(err, context.Canceled):
		return errorCancelled
	case errors.As(err, &system):
		return system.Error() // such as "connection refused"
	}
	return goType(innermost(err))
}

// innermost returns the end of an error's chain. Of joined errors it follows the first.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if several, ok := err.(interface{ Unwrap() []error }); ok && next == nil {
			for _, e := range several.Unwrap() {
				if e != nil {
					next = e
					break
				}
			}
		}
		if next == nil {
			return err
		}
		err = next
	}
}

// goType returns the name of err's type. The types of errors.New and fmt.Errorf are the same for all errors, so they count as
// "_OTHER", the convention's word for no class.
func goType(err error) string {
	switch name := fmt.Sprintf("%T", err); name {
	case "*errors.errorString", "*fmt.wrapError", "*fmt.wrapErrors", "*errors.joinError":
		return semconv.ErrorTypeOther.Value.AsString()
	default:
		return name
	}
}
