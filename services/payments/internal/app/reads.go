package app

import (
	"context"
	"time"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/services/payments/internal/domain"
)

// Query selects payments to list.
type Query struct {
	UserID string // "" = of all users
	After  Position
	Limit  int
}

// Position is an item in the list of payments, newest first. The zero value is the start.
type Position struct {
	CreatedAt time.Time
	OrderID   string
}

// Get returns the payment of an order, or ErrNotFound. A payment that the caller may not read is not found.
func (a *App) Get(ctx context.Context, orderID string) (domain.Payment, error) {
	return a.cfg.Store.Payment(ctx, orderID, auth.OnlyOf(auth.Of(ctx).Reads()))
}

// List returns at most q.Limit payments that come after q.After, newest first, of those that the caller may read.
func (a *App) List(ctx context.Context, q Query) ([]domain.Payment, error) {
	user, ok := auth.Of(ctx).Filter(q.UserID)
	if !ok {
		return nil, nil
	}
	q.UserID = user
	return a.cfg.Store.List(ctx, q)
}
