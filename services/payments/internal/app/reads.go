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

// Position is an item in the list of payments, newest first. The zero value is the start.
type Position struct {
	CreatedAt time.Time
	OrderID   string
}

// Get returns the payment of an order, or ErrNotFound.
func (a *App) Get(ctx context.Context, orderID string) (domain.Payment, error) {
	return a.cfg.Store.Payment(ctx, orderID)
}

// List returns at most q.Limit payments that come after q.After, newest first.
func (a *App) List(ctx context.Context, q Query) ([]domain.Payment, error) {
	return a.cfg.Store.List(ctx, q)
}
