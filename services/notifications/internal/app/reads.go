package app

import (
	"context"
	"errors"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/services/notifications/internal/domain"
)

// Query selects notifications, newest first.
type Query struct {
	UserID  string        // "" = of all users
	OrderID string        // "" = of all orders
	Status  domain.Status // "" = in any state
	Before  int64         // only older ones than the one with this ID; 0 = from the newest
	Limit   int
	Own     bool // as the user of UserID sees them: without alerts, which are for staff
}

// List returns at most q.Limit notifications, newest first, of those that the caller may read.
func (a *App) List(ctx context.Context, q Query) ([]domain.Notification, error) {
	caller := auth.Of(ctx)
	user, ok := caller.Filter(q.UserID)
	if !ok {
		return nil, nil
	}
	q.UserID = user
	_, q.Own = caller.Reads()
	return a.cfg.Store.List(ctx, q)
}

// Errors of Retry.
var (
	// ErrNotFound means that no notification has the id.
	ErrNotFound = errors.New("not found")
	// ErrNotFailed means that the email was sent, or will be.
	ErrNotFailed = errors.New("the email has not failed")
	// ErrEmptied means that retention took address and text.
	ErrEmptied = errors.New("the text and the address of the email are removed")
)

// Retry has a failed email sent again, as if it was new, and returns it. Errors: ErrNotFound, ErrNotFailed,
// ErrEmptied.
func (a *App) Retry(ctx context.Context, id int64) (domain.Notification, error) {
	return a.cfg.Store.Retry(ctx, id)
}
