// Package httpapi is the orders service's HTTP side: placing, reading, following and cancelling orders, and the stock.
// It decides nothing: it reads requests, calls a use case, and writes answers.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

const (
	maxWait = 30 * time.Second
	// heartbeat is how often a silent event stream shows that its connection is alive.
	heartbeat = 15 * time.Second
	// writeWithin is how long the client of a stream may read nothing.
	writeWithin = 10 * time.Second
)

// API serves the use cases.
type API struct {
	app      *app.App
	log      *slog.Logger
	failures *httpx.Failures

	heartbeat, writeWithin time.Duration

	bounded func(context.Context) (context.Context, context.CancelFunc) // httpx.Bounded
	hold    func(context.Context) (done func(), ok bool)                // httpx.Wait
}

// New makes an API over the use cases.
func New(orders *app.App, log *slog.Logger) *API {
	return &API{app: orders, log: log, failures: httpx.NewFailures(log, pgdb.IsUnavailable), heartbeat: heartbeat, writeWithin: writeWithin,
		bounded: httpx.Bounded, hold: httpx.Wait}
}

// Register adds the public operations.
func (a *API) Register(api huma.API) {
	a.registerOrders(api)
	a.registerTimeline(api)
	a.registerInventory(api)
}

// RegisterAdmin adds the operations that change the catalogue.
func (a *API) RegisterAdmin(api huma.API) { a.registerCatalogue(api) }

// problem turns a use case's error into the answer that a client can act on.
func (a *API) problem(err error) error {
	switch {
	case errors.Is(err, app.ErrNotFound):
		return huma.Error404NotFound("there is no such order or product")
	case errors.Is(err, app.ErrKeyBusy):
		return huma.ErrorWithHeaders(huma.Error409Conflict("a request with this Idempotency-Key is still running"),
			http.Header{"Retry-After": {"1"}})
	case errors.Is(err, app.ErrKeyReused):
		return huma.Error422UnprocessableEntity("the Idempotency-Key was used for another request",
			&huma.ErrorDetail{Location: "header.Idempotency-Key", Message: "use a new key for a new order"})
	case errors.Is(err, domain.ErrContradiction):
		return huma.Error409Conflict("the order id is taken by an order with other content")
	case errors.Is(err, domain.ErrNotCancellable):
		return huma.Error409Conflict("the order cannot be cancelled any more")
	case errors.Is(err, domain.ErrUnknownSKU):
		return huma.Error422UnprocessableEntity(err.Error(), &huma.ErrorDetail{Location: "body.items", Message: err.Error()})
	case errors.Is(err, domain.ErrTotalMismatch):
		return huma.Error422UnprocessableEntity(err.Error(), &huma.ErrorDetail{Location: "body.total", Message: err.Error()})
	case errors.Is(err, domain.ErrNotPriceable):
		return huma.Error422UnprocessableEntity(err.Error(), &huma.ErrorDetail{Location: "body.items", Message: err.Error()})
	default:
		return a.failures.Answer(err, "the database is not available just now; try again. The request may have taken effect: with the same Idempotency-Key or order_id it takes effect once")
	}
}

// notTaken is problem for placing an order. The answer says whether the order was not taken, or may have been.
func (a *API) notTaken(err error) error {
	if pgdb.IsUnavailable(err) && (errors.Is(err, app.ErrNotBegun) || !errors.Is(err, app.ErrUnknown)) {
		return a.failures.Answer(err, "the database is not available just now: the order was not taken; try again")
	}
	return a.problem(err)
}

// invalid returns 422 naming each broken field of the contract's rules.
func invalid(err error) error {
	var details []error
	var walk func(error)
	walk = func(err error) {
		var many interface{ Unwrap() []error }
		var field *messages.FieldError
		switch {
		case errors.As(err, &field):
			if joined, ok := err.(interface{ Unwrap() []error }); ok {
				for _, e := range joined.Unwrap() {
					walk(e)
				}
				return
			}
			details = append(details, &huma.ErrorDetail{Location: "body." + field.Field, Message: field.Error()})
		case errors.As(err, &many):
			for _, e := range many.Unwrap() {
				walk(e)
			}
		default:
			details = append(details, err)
		}
	}
	walk(err)
	return huma.Error422UnprocessableEntity("the order breaks a rule", details...)
}

// Wait is the query parameter ?wait=: a duration or a number of seconds.
type Wait struct {
	Wait string `query:"wait" pattern:"^([0-9]{1,18}|([0-9]{1,5}([.][0-9]{1,9})?(ns|us|ms|s|m|h)){1,4})$" example:"5s" doc:"Hold the answer until the order is settled, this long at most; more than 30s counts as 30s"`
}

func (w Wait) duration() (time.Duration, error) {
	if seconds, err := strconv.Atoi(w.Wait); w.Wait == "" || err == nil {
		return min(time.Duration(min(seconds, 60))*time.Second, maxWait), nil
	}
	d, err := time.ParseDuration(w.Wait) // which reads everything that meets the pattern
	return min(d, maxWait), err
}

// settled holds until the order is settled or d is over, and returns the order as it is then. It does not hold when more
// requests wait than there is room for.
func (a *API) settled(ctx context.Context, o domain.Order, d time.Duration) domain.Order {
	done, ok := httpx.Wait(ctx)
	if !ok {
		return o
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return a.app.WaitSettled(ctx, o)
}

// location is the order's address. An id may hold characters that an address must escape.
func location(orderID string) string { return "/orders/" + url.PathEscape(orderID) }

func etag(version int64) string { return fmt.Sprintf(`"%d"`, version) }

// matches reports whether an If-None-Match names the tag. Weak tags name the same as strong ones there.
func matches(header []string, tag string) bool {
	for _, part := range strings.Split(strings.Join(header, ","), ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}

// headerLines returns all values of a header. huma hands over the first one only, and none when it is empty.
func headerLines(ctx huma.Context, name string) (values []string) {
	ctx.EachHeader(func(n, value string) {
		if n == name {
			values = append(values, value)
		}
	})
	return values
}
