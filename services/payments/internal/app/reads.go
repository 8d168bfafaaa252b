package app

import (
	"context"
	"time"

	"pasdetrois/services/payments/internal/domain"
)

// Query selects payments to list.
type Query struct {
	UserID string // "" = of all users
	After  Position
	Limit  int
}

// Position is a place in the list of payments, newest first. The zero value is the start.
type Position struct {
	CreatedAt time.Time
	OrderID   string
}

// Page is a part of a list. Next is nil on the last one.
type Page struct {
	Items []domain.Payment
	Next  *Position
}

// Get returns the payment of an order, or ErrNotFound.
func (a *App) Get(ctx context.Context, orderID string) (domain.Payment, error) {
	return a.Store.Payment(ctx, orderID)
}

// List returns one page of payments, newest first.
func (a *App) List(ctx context.Context, q Query) (Page, error) {
	limit := q.Limit
	q.Limit++ // one more tells whether there is another page
	items, err := a.Store.List(ctx, q)
	if err != nil {
		return Page{}, err
	}
	page := Page{Items: items}
	if len(items) > limit {
		page.Items = items[:limit]
		last := page.Items[limit-1]
		page.Next = &Position{CreatedAt: last.CreatedAt, OrderID: last.OrderID}
	}
	return page, nil
}
