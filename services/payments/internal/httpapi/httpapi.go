// Package httpapi answers what is known about payments. Nothing can be changed here: payments are asked for, and asked
// back, on Kafka.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
)

const (
	// readTimeout keeps an answer short when the database hangs: the client hears 503 within two seconds.
	readTimeout = 1500 * time.Millisecond
	// retryAfter is what the client is told then, in seconds.
	retryAfter = 2
)

// Payments is what the API needs of the use cases. app.App is one.
type Payments interface {
	Get(ctx context.Context, orderID string) (domain.Payment, error)
	List(ctx context.Context, q app.Query) (app.Page, error)
}

// Amount is an exact decimal number of major units.
type Amount string

// MarshalJSON writes the decimal as a JSON number.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(a), nil }

// Schema implements huma.SchemaProvider.
func (Amount) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Description: "Exact decimal number of major units", Examples: []any{49.99}}
}

// Payment is a payment as clients see it.
type Payment struct {
	OrderID       string    `json:"order_id"`
	UserID        string    `json:"user_id"`
	Amount        Amount    `json:"amount"`
	Currency      string    `json:"currency" doc:"ISO 4217 code" example:"USD"`
	Status        string    `json:"status" enum:"captured,failed,refunded,voided" doc:"voided: money was asked back before it was asked for; the order is never charged"`
	PaymentID     string    `json:"payment_id,omitempty" doc:"The provider's name for the charge; absent when no money was taken"`
	PaymentMethod string    `json:"payment_method,omitempty" example:"pm_card_visa"`
	Reason        string    `json:"reason,omitempty" doc:"Why it failed, was refunded or voided" example:"card_declined"`
	Outside       bool      `json:"outside,omitempty" doc:"It was asked for by another producer than the orders service; there may be no such order"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

func shown(p domain.Payment) Payment {
	return Payment{OrderID: p.OrderID, UserID: p.UserID, Amount: Amount(p.Amount.Decimal()), Currency: p.Amount.Currency,
		Status: string(p.Status), PaymentID: p.PaymentID, PaymentMethod: p.Method, Reason: p.Reason, Outside: p.Outside,
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
}

type getInput struct {
	OrderID string `path:"order_id" doc:"The order's id"`
}

type getOutput struct{ Body Payment }

type listInput struct {
	UserID httpx.Filter `query:"user_id" doc:"Only payments of this user"`
	Limit  httpx.Limit  `query:"limit"`
	Cursor httpx.Cursor `query:"cursor" doc:"next_cursor of the page before"`
}

type listOutput struct {
	Body struct {
		Items      []Payment `json:"items"`
		NextCursor string    `json:"next_cursor,omitempty" doc:"Absent on the last page"`
	}
}

// Register adds GET /payments/{order_id} and GET /payments to the API. An error that clients can do nothing about is
// logged, and they are told no more than that there was one.
func Register(api huma.API, payments Payments, log *slog.Logger) {
	var unavailable httpx.Seldom
	problem := func(err error) error { return problem(err, log, &unavailable) }
	tags := []string{"payments"}
	httpx.Register(api, huma.Operation{OperationID: "get-payment", Method: http.MethodGet, Path: "/payments/{order_id}",
		Summary: "Show the payment of an order", Tags: tags,
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *getInput) (*getOutput, error) {
			if !storable(in.OrderID) {
				return nil, problem(app.ErrNotFound)
			}
			ctx, cancel := context.WithTimeout(ctx, readTimeout)
			defer cancel()
			p, err := payments.Get(ctx, in.OrderID)
			if err != nil {
				return nil, problem(err)
			}
			return &getOutput{Body: shown(p)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "list-payments", Method: http.MethodGet, Path: "/payments",
		Summary: "List payments, newest first", Tags: tags,
		Errors: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *listInput) (*listOutput, error) {
			q, err := query(in)
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, readTimeout)
			defer cancel()
			page, err := payments.List(ctx, q)
			if err != nil {
				return nil, problem(err)
			}
			out := &listOutput{}
			out.Body.Items = make([]Payment, len(page.Items))
			for i, p := range page.Items {
				out.Body.Items[i] = shown(p)
			}
			if page.Next != nil {
				out.Body.NextCursor = string(httpx.NewCursor(page.Next.CreatedAt, page.Next.OrderID))
			}
			return out, nil
		})
}

func query(in *listInput) (app.Query, error) {
	limit, err := in.Limit.Number()
	if err != nil {
		return app.Query{}, err
	}
	if err := in.UserID.Check("query.user_id"); err != nil {
		return app.Query{}, err
	}
	q := app.Query{UserID: string(in.UserID), Limit: limit}
	at, id, more, err := in.Cursor.Place()
	if more {
		q.After = app.Position{CreatedAt: at, OrderID: id}
	}
	return q, err
}

// storable reports whether Postgres takes s as text. What it does not take is no id of anything.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func problem(err error, log *slog.Logger, unavailable *httpx.Seldom) error {
	switch {
	case errors.Is(err, app.ErrNotFound):
		return huma.Error404NotFound("no payment of this order is known")
	case pgdb.IsUnavailable(err), errors.Is(err, context.DeadlineExceeded):
		unavailable.Warn(log, "the database is not available", err)
		return httpx.Unavailable("the database does not answer", retryAfter)
	default:
		log.Error("answering a request", "err", err)
		return huma.Error500InternalServerError("unexpected error")
	}
}
