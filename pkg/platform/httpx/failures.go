package httpx

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// StoreWithin is how long a handler may work with its database. A client then hears 503 within two seconds when the database
// is slow or gone.
const StoreWithin = 1500 * time.Millisecond

// RetryAfter is when a client may ask again while the database is away.
const RetryAfter = 2 * time.Second

// Bounded gives a handler's work with its database the time that a request has for it.
func Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, StoreWithin)
}

// Storable reports whether Postgres accepts s as text. It rejects NUL and invalid UTF-8, so no stored id contains them.
func Storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// Failures answers errors that a client did not cause, and logs them.
type Failures struct {
	log         *slog.Logger
	unavailable func(error) bool
	seldom      Seldom
}

// NewFailures returns Failures. unavailable reports whether an error means that the database cannot be reached just now.
func NewFailures(log *slog.Logger, unavailable func(error) bool) *Failures {
	return &Failures{log: log, unavailable: unavailable}
}

// Away reports whether err means that the database cannot be reached just now, and then says so in the log.
func (f *Failures) Away(err error) bool {
	away := err != nil && f.unavailable(err)
	if away {
		f.seldom.Warn(f.log, "the database is not available", err)
	}
	return away
}

// Answer returns the problem for err: 503 with detail when the database is away, 499 when the client is, else 500. The cause
// of a 500 is in the log only.
func (f *Failures) Answer(err error, detail string) error {
	switch {
	case f.Away(err):
		return Unavailable(detail, int(RetryAfter.Seconds()))
	case errors.Is(err, context.Canceled):
		return huma.NewError(499, "the client went away")
	default:
		f.log.Error("a request failed", "err", err)
		return huma.Error500InternalServerError("an unexpected error happened")
	}
}

// Unavailable is the 503 problem with Retry-After for a dependency that is down.
func Unavailable(detail string, retryAfterSeconds int) error {
	return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable(detail),
		http.Header{"Retry-After": {strconv.Itoa(retryAfterSeconds)}})
}
