package app

import (
	"context"
	"time"

	"pasdetrois/services/orders/internal/domain"
)

// Query selects orders to list.
type Query struct {
	UserID string        // "" = of all users
	Status domain.Status // "" = in any
	After  Position
	Limit  int
}

// Position is an item in the list of orders, newest first. The zero value is the start.
type Position struct {
	CreatedAt time.Time
	OrderID   string
}

// Order returns an order with its lines, or ErrNotFound.
func (a *App) Order(ctx context.Context, id string) (domain.Order, error) {
	return a.cfg.Store.Order(ctx, id)
}

// Orders returns at most q.Limit orders that come after q.After, newest first.
func (a *App) Orders(ctx context.Context, q Query) ([]domain.Order, error) {
	return a.cfg.Store.Orders(ctx, q)
}

// Timeline returns the changes of an order after the number given, oldest first, or ErrNotFound.
func (a *App) Timeline(ctx context.Context, id string, after int64) ([]domain.Change, error) {
	changes, err := a.cfg.Store.Timeline(ctx, id, after)
	if err != nil || len(changes) > 0 {
		return changes, err
	}
	_, err = a.cfg.Store.Order(ctx, id) // no new change, or no order
	return changes, err
}
