// Package httpapi shows payments. It changes nothing: payments are requested, and refunds too, on Kafka.
//
//	GET /payments/{order_id}   one payment; 404 without one
//	GET /payments              newest first, by user
//
// When the database is away, each answers 503 with Retry-After.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
)

// Payments are the use cases behind the API. app.App implements it. Get returns app.ErrNotFound for an order without a payment.
type Payments interface {
	Get(ctx context.Context, orderID string) (domain.Payment, error)
	List(ctx context.Context, q app.Query) ([]domain.Payment, error)
}

// Payment is a payment in an answer. It is a type of its own, so that a change of the domain does not change the API.
type Payment struct {
	OrderID       string        `json:"order_id"`
	UserID        string        `json:"user_id"`
	Amount        httpx.Decimal `json:"amount"`
	Currency      string        `json:"currency" doc:"ISO 4217 code" example:"USD"`
	Status        string        `json:"status" enum:"captured,failed,refunded,voided" doc:"voided: the refund was requested before the payment; the order is never charged"`
	PaymentID     string        `json:"payment_id,omitempty" doc:"The provider's name for the charge; absent when no money was taken"`
	PaymentMethod string        `json:"payment_method,omitempty" example:"pm_card_visa"`
	Reason        string        `json:"reason,omitempty" doc:"Why it failed, was refunded or voided" example:"card_declined"`
	Outside       bool          `json:"outside,omitempty" doc:"Requested by another producer than the orders service; there may be no such order"`
	CreatedAt     time.Time     `json:"created_at"`
	UpdatedAt     time.Time     `json:"updated_at"`
}

func shown(p domain.Payment) Payment {
	return Payment{OrderID: p.OrderID, UserID: p.UserID, Amount: httpx.Decimal(p.Amount.Decimal()), Currency: p.Amount.Currency,
		Status: string(p.Status), PaymentID: p.PaymentID, PaymentMethod: p.Method, Reason: p.Reason, Outside: p.Outside,
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
}

type getInput struct {
	OrderID string `path:"order_id" doc:"The order's id"`
}

type getOutput struct{ Body Payment }

type listInput struct {
	UserID httpx.Filter `query:"user_id" doc:"Only payments of this user"`
	httpx.Paging[httpx.At]
}

// Register adds GET /payments/{order_id} and GET /payments to the API. A read that takes longer than StoreWithin counts as an
// unavailable database: the client gets 503, not 500.
func Register(api huma.API, payments Payments, log *slog.Logger) {
	failures := httpx.NewFailures(log, pgdb.IsUnavailable)
	tags := []string{"payments"}
	httpx.Register(api, huma.Operation{OperationID: "get-payment", Method: http.MethodGet, Path: "/payments/{order_id}",
		Summary: "Show the payment of an order", Tags: tags, Security: auth.Needs(auth.Read),
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *getInput) (*getOutput, error) {
			ctx, cancel := httpx.Bounded(ctx)
			defer cancel()
			p, err := domain.Payment{}, app.ErrNotFound
			if httpx.Storable(in.OrderID) {
				p, err = payments.Get(ctx, in.OrderID)
			}
			switch {
			case errors.Is(err, app.ErrNotFound):
				return nil, huma.Error404NotFound("there is no payment of this order")
			case err != nil:
				return nil, failures.Answer(err, away)
			}
			return &getOutput{Body: shown(p)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "list-payments", Method: http.MethodGet, Path: "/payments",
		Summary: "List payments, newest first", Tags: tags, Security: auth.Needs(auth.Read),
		Errors: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *listInput) (*httpx.PageOutput[Payment], error) {
			ctx, cancel := httpx.Bounded(ctx)
			defer cancel()
			after := in.Cursor.Position
			found, err := payments.List(ctx, app.Query{UserID: string(in.UserID), Limit: in.Limit + 1,
				After: app.Position{CreatedAt: after.Time, OrderID: after.ID}})
			if err != nil {
				return nil, failures.Answer(err, away)
			}
			return httpx.NewPage(found, in.Limit, shown, func(p domain.Payment) httpx.At { return httpx.At{Time: p.CreatedAt, ID: p.OrderID} }), nil
		})
}

const away = "the database does not answer"
