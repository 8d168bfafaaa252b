package httpapi

import (
	"context"
	"strings"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

type listInput struct {
	UserID httpx.Filter `query:"user_id" doc:"Only orders of this user"`
	Status string       `query:"status" enum:"pending,awaiting_payment,confirmed,rejected,failed,cancelling,cancelled" doc:"Only orders that are in this status now"`
	Limit  httpx.Limit  `query:"limit"`
	Cursor httpx.Cursor `query:"cursor" doc:"next_cursor of the page before"`
}

type listOutput struct {
	Body struct {
		Items      []Order `json:"items"`
		NextCursor string  `json:"next_cursor,omitempty" doc:"Absent on the last page"`
	}
}

// list answers with one page. All pages together have every order that was there when the first was read once, and newer
// ones never: the place where a page ends is an order's, not a count of those before it.
func (a *API) list(ctx context.Context, in *listInput) (*listOutput, error) {
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	page, err := a.app.Orders(ctx, q)
	if err != nil {
		return nil, a.problem(err)
	}
	out := &listOutput{}
	out.Body.Items = make([]Order, len(page.Items))
	for i, o := range page.Items {
		out.Body.Items[i] = orderBody(o)
	}
	if page.Next != nil {
		out.Body.NextCursor = string(httpx.NewCursor(page.Next.CreatedAt, page.Next.OrderID))
	}
	return out, nil
}

func (in *listInput) query() (app.Query, error) {
	q := app.Query{UserID: string(in.UserID), Status: domain.Status(in.Status)}
	var err error
	if q.Limit, err = in.Limit.Number(); err != nil {
		return q, err
	}
	if err := in.UserID.Check("query.user_id"); err != nil {
		return q, err
	}
	if in.Status != "" && !q.Status.Valid() {
		return q, httpx.BadParam("query.status", "must be one of "+statuses())
	}
	at, id, more, err := in.Cursor.Place()
	if more {
		q.After = app.Position{CreatedAt: at, OrderID: id}
	}
	return q, err
}

func statuses() string {
	var names []string
	for _, s := range domain.Statuses() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}
