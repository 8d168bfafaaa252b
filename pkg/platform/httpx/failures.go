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

// StoreWithin bounds a handler's work with its database. A client then gets 503 within two seconds when the database is slow
// or gone. Its request does not occupy a place in work for longer.
const StoreWithin = 1500 * time.Millisecond

// RetryAfter is the pause before a client should ask again while the database is away.
const RetryAfter = 2 * time.Second

// Bounded returns a context for a handler's work with its database. It ends StoreWithin from now, or with ctx.
func Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, StoreWithin)
}

// Storable reports whether Postgres accepts s as text. It rejects NUL and invalid UTF-8, so no stored id contains them. A handler
// answers 404 for such an id without a query, whose error would look like a fault of the service.
func Storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// Failures answers errors that a client did not cause, and logs them: each unexpected error, and an absent database every few
// seconds, because every request meets it. Safe for concurrent use.
type Failures struct {
	log         *slog.Logger
	unavailable func(error) bool
	seldom      Seldom
}

// NewFailures returns Failures. unavailable reports whether an error means that the database cannot be reached just now.
func NewFailures(log *slog.Logger, unavailable func(error) bool) *Failures {
	return &Failures{log: log, unavailable: unavailable}
}

// Away reports whether err means that the database cannot be reached just now, and then logs a line every few seconds.
func (f *Failures) Away(err error) bool {
	away := err != nil && f.unavailable(err)
	if away {
		f.seldom.Warn(f.log, "the database is not available", err)
	}
	return away
}

// Answer returns the problem for err: 503 with detail and Retry-After when the database is away, 499 when the client has gone,
// else 500. The cause of a 500 is in the log only: it may contain names of tables, or a client's data.
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
