package app

import (
	"context"

	"pasdetrois/examples/shipping/internal/domain"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
)

// OnOrderConfirmed begins the shipment of each order, once, and requests an email about it. An order that was cancelled
// before gets neither.
func (a *App) OnOrderConfirmed(ctx context.Context, batch []bus.In[messages.OrderConfirmed]) []bus.Result {
	shipments := make([]domain.Shipment, len(batch))
	for i, in := range batch {
		shipments[i] = domain.Pack(in.Event.OrderID, in.Event.UserID, a.now())
	}
	statuses, err := a.store.Pack(ctx, shipments)
	if err != nil {
		return failed(len(batch), err)
	}
	results := make([]bus.Result, len(batch))
	for i, in := range batch {
		// Also of a parcel that has left: the first answer may have been lost after the commit.
		if status := statuses[in.Event.OrderID]; status == domain.Packing || status == domain.Shipped {
			results[i].Publish = []messages.Message{beingPacked(in)}
		}
	}
	return results
}

// beingPacked has an id and a time that follow from the message it answers, so a second answer is the same message.
func beingPacked(in bus.In[messages.OrderConfirmed]) messages.Message {
	order := in.Event.OrderID
	return messages.Message{
		ID:   messages.ID(order, messages.EventNotificationRequested, "packing"),
		Time: in.Time,
		Event: messages.NotificationRequested{OrderID: order, UserID: in.Event.UserID, Channel: messages.ChannelEmail,
			Message: "Your order is being packed."},
	}
}
