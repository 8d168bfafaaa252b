package httpapi

import (
	"context"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

type listInput struct {
	UserID httpx.Filter `query:"user_id" doc:"Only orders of this user"`
	Status string       `query:"status" enum:"pending,awaiting_payment,confirmed,rejected,failed,cancelling,cancelled" doc:"Only orders that are in this status now"`
	httpx.Paging[httpx.At]
}

// list serves GET /orders. Its cursor is a time and an id, so orders that are placed while a client pages appear on no later
// page. A filter by status uses the status at the moment of each page: an order that moves meanwhile may be missed.
func (a *API) list(ctx context.Context, in *listInput) (*httpx.PageOutput[Order], error) {
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	after := in.Cursor.Position
	found, err := a.app.Orders(ctx, app.Query{UserID: string(in.UserID), Status: domain.Status(in.Status), Limit: in.Limit + 1,
		After: app.Position{CreatedAt: after.Time, OrderID: after.ID}})
	if err != nil {
		return nil, a.problem(err)
	}
	return httpx.NewPage(found, in.Limit, orderBody, func(o domain.Order) httpx.At { return httpx.At{Time: o.CreatedAt, ID: o.ID} }), nil
}
