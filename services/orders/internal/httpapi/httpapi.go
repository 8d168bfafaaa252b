// Package httpapi is the orders service's HTTP side: placing, reading, following and cancelling orders, and the stock.
// It decides nothing: it reads requests, calls a use case, and writes answers.
//
//	POST /orders               place     202 taken, 200 settled or there before
//	GET  /orders/{id}          get       200, or 304 for a known ETag
//	GET  /orders               list      one page, newest first
//	GET  /orders/{id}/events   timeline  JSON so far, or a stream until the order is settled
//	POST /orders/{id}/cancel   cancel    202 cancelling, 200 cancelled
//	GET  /inventory            the catalogue with its stock; its changes are on the admin server
//
// Each handler gives the database StoreWithin, and answers 503 with Retry-After when that is not enough. A client may repeat
// any request: reads change nothing, cancelling is idempotent, and placing is so by order id or by Idempotency-Key.
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
	// maxWait bounds ?wait=. It is below the server's time for an answer, so a held answer still reaches the client.
	maxWait = 30 * time.Second
	// heartbeat is the longest silence of an event stream: proxies close connections that are silent for longer.
	heartbeat = 15 * time.Second
	// writeWithin bounds the time for which the client of a stream reads nothing.
	writeWithin = 10 * time.Second
)

// The operations that limits name.
const placeOrder, getOrder, followOrder = "place-order", "get-order", "order-events"

// API serves the use cases over HTTP. It is safe for concurrent use. Tests replace the times and the functions.
type API struct {
	app      *app.App
	log      *slog.Logger
	failures *httpx.Failures

	logins bool // callers have users
	limits limits

	heartbeat, writeWithin time.Duration

	bounded func(context.Context) (context.Context, context.CancelFunc) // httpx.Bounded
	hold    func(context.Context) (done func(), ok bool)                // httpx.Wait
}

// New makes an API over the use cases.
func New(orders *app.App, log *slog.Logger) *API {
	return &API{app: orders, log: log, failures: httpx.NewFailures(log, pgdb.IsUnavailable), heartbeat: heartbeat, writeWithin: writeWithin,
		bounded: httpx.Bounded, hold: httpx.Wait}
}

// WithLogins is for a service whose callers log in: an order without user_id is the caller's. Call it before Register.
func (a *API) WithLogins() *API {
	a.logins = true
	return a
}

// Register adds the public operations.
func (a *API) Register(api huma.API) {
	a.limits.register(api)
	a.registerOrders(api)
	a.registerTimeline(api)
	a.registerInventory(api)
}

// RegisterAdmin adds the operations that change the catalogue, and those that publish messages again.
func (a *API) RegisterAdmin(api huma.API) {
	a.registerCatalogue(api)
	a.registerRepublish(api)
}

// problem converts a use case's error into an answer that names the client's next step. 404, 409 and 422 are final for this
// request; 503 and the 409 for a busy key have Retry-After. An error without a case here goes to Failures.
func (a *API) problem(err error) error {
	switch {
	case errors.Is(err, app.ErrNotFound):
		return huma.Error404NotFound("there is no such order or product")
	case errors.Is(err, app.ErrNotYours):
		return huma.Error403Forbidden("user_id is another user's: leave it out, or send that of your login",
			&huma.ErrorDetail{Location: "body.user_id", Message: "must be absent, or the user of the token"})
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

// notTaken is problem for placing an order. When the database is away, the answer says whether the order was certainly not
// taken, or may have been. Only a commit without an answer leaves that open.
func (a *API) notTaken(err error) error {
	if pgdb.IsUnavailable(err) && (errors.Is(err, app.ErrNotBegun) || !errors.Is(err, app.ErrUnknown)) {
		return a.failures.Answer(err, "the database is not available just now: the order was not taken; try again")
	}
	return a.problem(err)
}

// invalid returns 422 with one detail for each broken rule, so a client repairs all fields at once. err is the joined error of
// Validate; walk visits its parts, because errors.As would find only the first FieldError.
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

// duration returns the wait, maxWait at most, and 0 without the parameter. A number of seconds is cut to 60 before it becomes a
// time.Duration, which would otherwise overflow.
func (w Wait) duration() (time.Duration, error) {
	if seconds, err := strconv.Atoi(w.Wait); w.Wait == "" || err == nil {
		return min(time.Duration(min(seconds, 60))*time.Second, maxWait), nil
	}
	d, err := time.ParseDuration(w.Wait) // it parses everything that matches the pattern
	return min(d, maxWait), err
}

// settled waits until the order is settled or d is over, and returns the order as it is then. Without room for one more waiting
// request it returns o at once: the client gets 202, which is a right answer too. It never fails, because the order exists.
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

// location is the order's address. An id from Kafka may contain characters that an address must escape.
func location(orderID string) string { return "/orders/" + url.PathEscape(orderID) }

// etag is the order's version in quotes. Each entry of the timeline raises the version, so equal tags mean equal orders.
func etag(version int64) string { return fmt.Sprintf(`"%d"`, version) }

// matches reports whether an If-None-Match contains the tag. The comparison is the weak one of RFC 9110, so W/ is ignored.
// Splitting at commas is safe, because no tag of this service contains a comma.
func matches(header []string, tag string) bool {
	for _, part := range strings.Split(strings.Join(header, ","), ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}

// headerLines returns all values of a header. huma's own parameters have the first value only, and do not distinguish an empty
// header from an absent one.
func headerLines(ctx huma.Context, name string) (values []string) {
	ctx.EachHeader(func(n, value string) {
		if n == name {
			values = append(values, value)
		}
	})
	return values
}
