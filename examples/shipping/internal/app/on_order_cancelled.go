package app

import (
	"context"

	"pasdetrois/examples/shipping/internal/domain"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
)

// OnOrderCancelled stops the shipment of each order, or calls the parcel back.
func (a *App) OnOrderCancelled(ctx context.Context, batch []bus.In[messages.OrderCancelled]) []bus.Result {
	shipments := make([]domain.Shipment, len(batch))
	for i, in := range batch {
		shipments[i] = domain.Pack(in.Event.OrderID, in.Event.UserID, a.now())
	}
	if err := a.store.Stop(ctx, shipments); err != nil {
		return failed(len(batch), err)
	}
	return make([]bus.Result, len(batch))
}
