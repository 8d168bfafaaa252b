package app

import (
	"context"
	"time"

	"pasdetrois/pkg/platform/auth"
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

// Order returns an order with its lines, or ErrNotFound. An order that the caller may not read is not found.
func (a *App) Order(ctx context.Context, id string) (domain.Order, error) {
	return a.cfg.Store.Order(ctx, id, readable(ctx))
}

// readable is the user whose orders alone the caller of ctx may read; nil = it may read all.
func readable(ctx context.Context) *string { return auth.OnlyOf(auth.Of(ctx).Reads()) }

// Orders returns at most q.Limit orders that come after q.After, newest first, of those that the caller may read.
func (a *App) Orders(ctx context.Context, q Query) ([]domain.Order, error) {
	var ok bool
	if q.UserID, ok = auth.Of(ctx).Filter(q.UserID); !ok {
		return nil, nil
	}
	return a.cfg.Store.Orders(ctx, q)
}

// Timeline returns the changes of an order after the number given, oldest first, or ErrNotFound, also for an order that the caller
// may not read.
func (a *App) Timeline(ctx context.Context, id string, after int64) ([]domain.Change, error) {
	changes, err := a.cfg.Store.Timeline(ctx, id, after, readable(ctx))
	if err != nil || len(changes) > 0 {
		return changes, err
	}
	_, err = a.cfg.Store.Order(ctx, id, readable(ctx)) // no new change, or no order
	return changes, err
}
