package app

import (
	"context"
	"fmt"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/notifications/internal/domain"
)

// reasonContradictsState is the reason of a request that is parked because another one has its key.
const reasonContradictsState = "contradicts_state"

// OnNotificationRequested stores each notification once and has its email sent. A repeated request has
// no effect: the first one wins. A request with other content under the same key is parked, so that no customer's message is
// lost without a trace. The exception is a redelivered message of an order and kind: our own service sent it, and an upgrade
// changed its wording between two deliveries.
func (a *App) OnNotificationRequested(ctx context.Context, batch []bus.In[messages.NotificationRequested]) []bus.Result {
	results := make([]bus.Result, len(batch))
	wanted := make([]domain.Notification, len(batch))
	for i, in := range batch {
		wanted[i] = domain.New(in.ID, in.Time, in.Event)
		wanted[i].OrderedAt, wanted[i].TraceParent = in.OrderTime, in.TraceParent
	}
	// The lease runs from before the transaction, so that it ends here before it ends in the database.
	claimedAt := time.Now()
	kept, err := a.cfg.Store.Add(ctx, wanted, a.cfg.Dispatcher.Lease())
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
			a.cfg.Metrics.added(k.Kind)
			added = append(added, k.Notification)
			continue
		}
		same := k.IsEmptied() || k.SameContent(wanted[i]) // without a text there is nothing to compare
		a.cfg.Metrics.repeated(same)
		if !same && !(wanted[i].PerKind() && k.MessageID == wanted[i].MessageID) {
			results[i].Err = fault.New(reasonContradictsState,
				"another notification of this order and kind, or under this message id, is stored already: send this one under another id")
		}
	}
	a.cfg.Dispatcher.Enqueue(claimedAt, added)
	return results
}
