package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// Republished is an order whose messages were published again, in an answer.
type Republished struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status" doc:"Its messages follow from it"`
}

type republishedOutput struct{ Body Republished }

// republishInput selects orders by the time at which they were placed.
type republishInput struct {
	PlacedFrom time.Time `query:"placed_from" required:"true" doc:"Orders that were placed at this time or later"`
	PlacedTo   time.Time `query:"placed_to" doc:"And before this one; absent: up to now"`
	httpx.Paging[httpx.At]
}

// republishPage is the most orders of one request, so that its transaction stays short.
const republishPage = 100

// registerRepublish adds the operations that publish messages again, for the admin server. They are idempotent for the services
// that read the messages, because the messages keep their ids.
func (a *API) registerRepublish(api huma.API) {
	tags := []string{"orders"}
	httpx.Register(api, huma.Operation{OperationID: "republish-order", Method: http.MethodPost, Path: "/orders/{id}/republish", Tags: tags,
		Summary: "Publish the messages of an order's status again", Errors: []int{400, 404, 413, 415, 503}},
		func(ctx context.Context, in *struct {
			ID string `path:"id"`
		}) (*republishedOutput, error) {
			if !httpx.Storable(in.ID) {
				return nil, a.problem(app.ErrNotFound)
			}
			ctx, cancel := a.bounded(ctx)
			defer cancel()
			o, err := a.app.Republish(ctx, in.ID)
			if err != nil {
				return nil, a.notRepublished(err)
			}
			return &republishedOutput{republished(o)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "republish-orders", Method: http.MethodPost, Path: "/orders/republish", Tags: tags,
		Summary:     "Publish the messages of orders again, by the time of placing",
		Description: "One page, newest first, of at most 100 orders. Continue with `cursor` while there is a `next_cursor`.",
		Errors:      []int{400, 413, 415, 503}}, a.republish)
}

// republish serves one page. A page that ends with the last order in the time has no next_cursor.
func (a *API) republish(ctx context.Context, in *republishInput) (*httpx.PageOutput[Republished], error) {
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	after := app.Position{CreatedAt: in.Cursor.Position.Time, OrderID: in.Cursor.Position.ID}
	if after.CreatedAt.IsZero() {
		after.CreatedAt = in.PlacedTo
	}
	limit := min(in.Limit, republishPage)
	found, err := a.app.RepublishPlaced(ctx, in.PlacedFrom, after, limit)
	if err != nil {
		return nil, a.notRepublished(err)
	}
	out := httpx.NewPage(found, limit, republished, func(o domain.Order) httpx.At { return httpx.At{Time: o.CreatedAt, ID: o.ID} })
	if len(found) == limit { // the next page may be empty
		last := found[limit-1]
		out.Body.NextCursor = httpx.NewCursor(httpx.At{Time: last.CreatedAt, ID: last.ID})
	}
	return out, nil
}

func republished(o domain.Order) Republished {
	return Republished{OrderID: o.ID, Status: string(o.Status)}
}

// notRepublished is problem for publishing again.
func (a *API) notRepublished(err error) error {
	if errors.Is(err, app.ErrNotPublishing) {
		return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable(err.Error()), http.Header{"Retry-After": {"5"}})
	}
	return a.problem(err)
}
