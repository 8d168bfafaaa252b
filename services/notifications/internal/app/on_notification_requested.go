package app

import (
	"context"
	"fmt"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/notifications/internal/domain"
)

// OnNotificationRequested keeps what is asked for, once, and has it sent. It publishes nothing. A request for what is kept
// already has no effect, whatever it says: the first one wins.
func (a *App) OnNotificationRequested(ctx context.Context, batch []bus.In[messages.NotificationRequested]) []bus.Result {
	results := make([]bus.Result, len(batch))
	wanted := make([]domain.Notification, len(batch))
	for i, in := range batch {
		wanted[i] = domain.New(in.ID, in.Time, in.Event)
		wanted[i].OrderedAt, wanted[i].TraceParent = in.OrderTime, in.TraceParent
	}
	// The lease runs from before the transaction, so that it ends here before it ends in the database.
	claimedAt := time.Now()
	kept, err := a.store.Add(ctx, wanted, a.dispatcher.Lease())
	if err != nil {
		err = fmt.Errorf("keep notifications: %w", err)
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	added := make([]domain.Notification, 0, len(kept))
	for i, k := range kept {
		if k.New {
			a.metrics.added(k.Kind)
			added = append(added, k.Notification)
			continue
		}
		same := k.SameContent(wanted[i])
		a.metrics.repeated(same)
		if !same {
			a.log.Warn("another notification of this order and kind, or under this message id, is kept already",
				"event", messages.EventNotificationRequested, "order_id", wanted[i].OrderID, "message_id", batch[i].ID,
				"status", k.Status)
		}
	}
	a.dispatcher.Enqueue(claimedAt, added)
	return results
}
