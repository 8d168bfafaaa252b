package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

type listInput struct {
	UserID string      `query:"user_id" doc:"Only orders of this user"`
	Status string      `query:"status" enum:"pending,awaiting_payment,confirmed,rejected,failed,cancelling,cancelled" doc:"Only orders that are in this status now"`
	Limit  httpx.Limit `query:"limit"`
	Cursor string      `query:"cursor" doc:"next_cursor of the page before"`
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
		raw, err := json.Marshal(page.Next)
		if err != nil {
			return nil, a.problem(err)
		}
		out.Body.NextCursor = base64.RawURLEncoding.EncodeToString(raw)
	}
	return out, nil
}

func (in *listInput) query() (app.Query, error) {
	q := app.Query{UserID: in.UserID, Status: domain.Status(in.Status)}
	var err error
	switch q.Limit, err = in.Limit.Number(); {
	case err != nil:
		return q, err
	case !storable(in.UserID):
		return q, httpx.BadParam("query.user_id", "must be valid UTF-8 without NUL")
	case in.Status != "" && !q.Status.Valid():
		return q, httpx.BadParam("query.status", "must be one of "+statuses())
	}
	if in.Cursor != "" {
		var ok bool
		if q.After, ok = decodeCursor(in.Cursor); !ok {
			return q, httpx.BadParam("query.cursor", "must be the next_cursor of a page before")
		}
	}
	return q, nil
}

func statuses() string {
	var names []string
	for _, s := range domain.Statuses() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func decodeCursor(cursor string) (app.Position, bool) {
	var p app.Position
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return p, false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err = d.Decode(&p)
	return p, err == nil && !d.More() && p.OrderID != "" && storable(p.OrderID) && !p.CreatedAt.IsZero()
}
