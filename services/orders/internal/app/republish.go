package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pasdetrois/services/orders/internal/domain"
)

// stuckAfter is the age from which a message that waits while publishing fails keeps others from being added. A younger one may
// be the first of a service that has just started.
const stuckAfter = 10 * time.Second

// ErrNotPublishing means that messages cannot be published just now, so none was added to those that wait.
var ErrNotPublishing = errors.New("messages cannot be published just now")

// Republish puts the messages of one order into the outbox again, and returns the order. They are those of its status: the
// outcome and its email, or the request that it waits for. Their ids are those of the first time, so a service that has the
// message already does nothing. It is for messages that Kafka lost. Errors: ErrNotFound, ErrNotPublishing.
func (a *App) Republish(ctx context.Context, id string) (domain.Order, error) {
	found, err := a.republishAll(ctx, []string{id})
	if err != nil {
		return domain.Order{}, err
	}
	if len(found) == 0 {
		return domain.Order{}, ErrNotFound
	}
	return found[0], nil
}

// RepublishPlaced does the same for at most limit orders, newest first, that come after the position and were placed at
// from or later. The caller pages: it continues behind the last order until none is returned.
func (a *App) RepublishPlaced(ctx context.Context, from time.Time, after Position, limit int) ([]domain.Order, error) {
	page, err := a.cfg.Store.Orders(ctx, Query{After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, o := range page {
		if !o.CreatedAt.Before(from) {
			ids = append(ids, o.ID)
		}
	}
	return a.republishAll(ctx, ids)
}

// republishAll locks the orders, so that the messages are those of the statuses that they have at the commit. It returns
// those that exist, in the order of the ids.
func (a *App) republishAll(ctx context.Context, ids []string) ([]domain.Order, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if since, err := a.cfg.Store.OutboxStuck(ctx); err != nil {
		return nil, err
	} else if !since.IsZero() && a.now().Sub(since) >= stuckAfter {
		return nil, fmt.Errorf("%w: the oldest waits since %s", ErrNotPublishing, since.UTC().Format(time.RFC3339))
	}
	var found []domain.Order
	_, err := a.inWork(ctx, func(ctx context.Context, w *work) error {
		found = nil // the transaction may be repeated
		// lockOrders sorts the ids, and the caller keeps their order.
		if err := w.lockOrders(ctx, slices.Clone(ids)); err != nil {
			return err
		}
		for _, id := range ids {
			o := w.orders[id]
			if o == nil {
				continue
			}
			w.outbox(outputs(o)...)
			if o.LatePayment && o.Total.Minor != 0 {
				w.outbox(moneyBack(o, o.Total))
			}
			found = append(found, snapshot(o))
			w.audit("order.republish", o.ID, map[string]any{"status": o.Status})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, o := range found {
		a.cfg.Metrics.republished.WithLabelValues(string(o.Status)).Inc()
	}
	a.cfg.Log.Info(fmt.Sprintf("messages of %d orders published again on request", len(found)))
	return found, nil
}
