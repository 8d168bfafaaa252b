package messages

import "slices"

// Type is one row of the contract: an event, the services that write it, and the services that read it.
type Type struct {
	Name  string // of the event, which follows from the type's name: order_placed for OrderPlaced
	Topic string
	// Owner is the service that publishes the event. Others names the services beside it that may.
	Owner   string
	Others  []string
	Foreign bool // producers outside the choreography may write it as well
	// Signed events move money, or say that an order is paid or called off. A reader with trusted keys accepts them only with a
	// signature of their owner.
	Signed bool
	// Consumers are the services that act on the event.
	Consumers []string
	Summary   string
	// Example has every field. Its Go type is the event's.
	Example Event
}

// SignedBy returns the service that signs the event, "" for an event that needs no signature.
func SignedBy(event string) string {
	for i := range registry {
		if registry[i].Name == event && registry[i].Signed {
			return registry[i].Owner
		}
	}
	return ""
}

// Signers returns the services that sign events.
func Signers() []string {
	return slices.DeleteFunc(Services(), func(service string) bool {
		return !slices.ContainsFunc(registry, func(t Type) bool { return t.Signed && t.Owner == service })
	})
}

// SchemaName is the file name of the event's JSON Schema, under docs/schema.
func (t Type) SchemaName() string { return t.Name + ".v1.json" }

// Registry returns all events of the contract, in the order of one order's life.
func Registry() []Type { return slices.Clone(registry) }

var registry = rows()

func rows() []Type {
	types := examples()
	for i := range types {
		types[i].Name = types[i].Example.EventName()
	}
	return types
}

// examples are the rows without their names, which follow from the types.
func examples() []Type {
	price := Money{2499, "USD"}
	total := Money{4998, "USD"}
	items := []Item{{SKU: "ballet-shoes", Quantity: 2, UnitPrice: &price}}
	const order, user, payment = "ord-1001", "user-7", "pay-5f2c"
	notification := ID(order, EventNotificationRequested, KindConfirmed)
	return []Type{
		{
			Topic: TopicOrders, Owner: ServiceOrders, Foreign: true, Consumers: []string{ServiceOrders},
			Summary: "A user placed an order.",
			Example: OrderPlaced{OrderID: order, UserID: user, Total: total, HasTotal: true, Items: items,
				PaymentMethod: "pm_card_visa", Email: "ada@example.com"},
		},
		{
			Topic: TopicPayments, Owner: ServiceOrders, Foreign: true, Consumers: []string{ServicePayments},
			Summary: "The payment of an order is requested.",
			Example: PaymentRequested{OrderID: order, UserID: user, Amount: total, Items: items, PaymentMethod: "pm_card_visa",
				Step: EventOrderPlaced},
		},
		{
			Topic: TopicPayments, Owner: ServicePayments, Signed: true, Consumers: []string{ServiceOrders},
			Summary: "An order's payment was captured.",
			Example: PaymentCaptured{OrderID: order, UserID: user, Amount: total, PaymentID: payment},
		},
		{
			Topic: TopicPayments, Owner: ServiceOrders, Signed: true, Consumers: []string{ServicePayments},
			Summary: "An order's payment is to be refunded, or voided when it was not captured yet.",
			Example: RefundRequested{OrderID: order, UserID: user, Amount: total, Reason: "cancelled_by_user", Step: "http"},
		},
		{
			Topic: TopicPayments, Owner: ServicePayments, Signed: true, Consumers: []string{ServiceOrders},
			Summary: "An order's payment was refunded. Amount 0: it was voided before capture.",
			Example: PaymentRefunded{OrderID: order, UserID: user, Amount: total, PaymentID: payment},
		},
		{
			Topic: TopicNotifications, Owner: ServiceOrders, Others: []string{ServicePayments},
			Foreign: true, Consumers: []string{ServiceNotifications},
			Summary: "A message for a user.",
			Example: NotificationRequested{UserID: user, Message: "Order ord-1001 confirmed!", Channel: ChannelEmail, OrderID: order,
				Kind: KindConfirmed, To: "ada@example.com"},
		},
		{
			Topic: TopicOrderFailures, Owner: ServiceOrders,
			Summary: "An order was rejected before any payment. For other services; none of the three acts on it.",
			Example: OrderRejected{OrderID: order, UserID: user, Total: total, Items: items, PaymentMethod: "pm_card_visa",
				Reason: "out_of_stock"},
		},
		{
			Topic: TopicOrderFailures, Owner: ServicePayments, Signed: true, Consumers: []string{ServiceOrders},
			Summary: "An order's payment failed for good.",
			Example: PaymentFailed{OrderID: order, UserID: user, Total: total, Reason: "card_declined"},
		},
		{
			Topic: TopicOrders, Owner: ServiceOrders, Signed: true,
			Summary: "An order is paid and its stock is sold. For other services; none of the three acts on it.",
			Example: OrderConfirmed{OrderID: order, UserID: user, Total: total, Items: items, PaymentID: payment, Step: EventPaymentCaptured},
		},
		{
			Topic: TopicOrders, Owner: ServiceOrders, Signed: true,
			Summary: "An order was called off by its user, or because its payment was refunded, and no money is kept for it. For other services; none of the three acts on it.",
			Example: OrderCancelled{OrderID: order, UserID: user, Total: total, Items: items, PaymentID: payment,
				Reason: "cancelled_by_user", Step: EventPaymentRefunded},
		},
		{
			Topic: TopicOrderFailures, Owner: ServiceOrders, Signed: true,
			Summary: "An order failed without a failed payment: by time-out, because its stock was short after it was paid, or because its id has a payment that went back. For other services; none of the three acts on it.",
			Example: OrderFailed{OrderID: order, UserID: user, Total: total, Items: items, PaymentID: payment,
				Reason: "out_of_stock", Step: EventPaymentRefunded},
		},
		{
			Topic: TopicOrders, Owner: ServiceOrders,
			Summary: "An operator changed a product's name or price, or added pieces to it. The key is the sku. For other services; none of the three acts on it.",
			Example: InventoryChanged{SKU: "ballet-shoes", Name: "Ballet shoes", Price: price, Stocked: 250, Version: 7},
		},
		{
			Topic: TopicNotifications, Owner: ServiceNotifications,
			Summary: "A notification was sent. For other services; none of the three acts on it.",
			Example: NotificationSent{MessageID: notification, OrderID: order, UserID: user, Kind: KindConfirmed, Channel: ChannelEmail},
		},
		{
			Topic: TopicNotifications, Owner: ServiceNotifications,
			Summary: "A notification failed for good. For other services; none of the three acts on it.",
			Example: NotificationFailed{MessageID: notification, OrderID: order, UserID: user, Kind: KindConfirmed, Channel: ChannelEmail,
				Reason: "smtp_refused"},
		},
	}
}
