package messages

// Item is one line of an order.
type Item struct {
	SKU      string
	Quantity int
	// UnitPrice is informative, nil when the producer gave none: an order with items is priced by the catalogue.
	UnitPrice *Money
}

// OrderPlaced is `order_placed` on topic `orders`: somebody placed an order.
type OrderPlaced struct {
	OrderID string
	UserID  string
	// Total is what the order costs. Total.Minor is 0 when a foreign producer gave items but no total.
	Total         Money
	HasTotal      bool
	Items         []Item
	PaymentMethod string // "" = the default method
	Email         string // "" = the user's default address
}

// PaymentRequested is `payment_requested` on topic `payments`.
type PaymentRequested struct {
	OrderID       string
	UserID        string
	Amount        Money
	PaymentMethod string // "" = the default method
}

// PaymentCaptured is `payment_captured` on topic `payments`.
type PaymentCaptured struct {
	OrderID   string
	UserID    string
	Amount    Money
	PaymentID string
}

// RefundRequested is `refund_requested` on topic `payments`.
type RefundRequested struct {
	OrderID string
	UserID  string
	Amount  Money
	Reason  string
}

// PaymentRefunded is `payment_refunded` on topic `payments`. Amount 0 means that the payment was voided before capture.
type PaymentRefunded struct {
	OrderID   string
	UserID    string
	Amount    Money
	PaymentID string // "" when nothing was captured
}

// NotificationRequested is `notification_requested` on topic `notifications`.
type NotificationRequested struct {
	UserID  string
	Message string
	Channel string // "email"
	OrderID string // "" when the notification belongs to no order
	Kind    string // one of the Kind constants, or ""
	To      string // address; "" = the user's default address
}

// OrderRejected is `order_rejected` on topic `order-failures`: the order's own fields and why it was refused.
type OrderRejected struct {
	OrderID       string
	UserID        string
	Total         Money
	Items         []Item
	PaymentMethod string
	Email         string
	Reason        string
}

// PaymentFailed is `payment_failed` on topic `order-failures`.
type PaymentFailed struct {
	OrderID string
	UserID  string
	Total   Money
	Reason  string
}

// The kinds of notification that the services send.
const (
	KindConfirmed  = "confirmed"
	KindRejected   = "rejected"
	KindFailed     = "failed"
	KindCancelled  = "cancelled"
	KindFraudAlert = "fraud_alert"
)

// ChannelEmail is the only channel of v1.
const ChannelEmail = "email"

func (OrderPlaced) EventName() string           { return EventOrderPlaced }
func (PaymentRequested) EventName() string      { return EventPaymentRequested }
func (PaymentCaptured) EventName() string       { return EventPaymentCaptured }
func (RefundRequested) EventName() string       { return EventRefundRequested }
func (PaymentRefunded) EventName() string       { return EventPaymentRefunded }
func (NotificationRequested) EventName() string { return EventNotificationRequested }
func (OrderRejected) EventName() string         { return EventOrderRejected }
func (PaymentFailed) EventName() string         { return EventPaymentFailed }

func (OrderPlaced) Topic() string           { return TopicOrders }
func (PaymentRequested) Topic() string      { return TopicPayments }
func (PaymentCaptured) Topic() string       { return TopicPayments }
func (RefundRequested) Topic() string       { return TopicPayments }
func (PaymentRefunded) Topic() string       { return TopicPayments }
func (NotificationRequested) Topic() string { return TopicNotifications }
func (OrderRejected) Topic() string         { return TopicOrderFailures }
func (PaymentFailed) Topic() string         { return TopicOrderFailures }

func (e OrderPlaced) Key() string           { return e.OrderID }
func (e PaymentRequested) Key() string      { return e.OrderID }
func (e PaymentCaptured) Key() string       { return e.OrderID }
func (e RefundRequested) Key() string       { return e.OrderID }
func (e PaymentRefunded) Key() string       { return e.OrderID }
func (e NotificationRequested) Key() string { return e.OrderID }
func (e OrderRejected) Key() string         { return e.OrderID }
func (e PaymentFailed) Key() string         { return e.OrderID }

// Validate implements Event. A total is required, and more than 0, unless there are items to be priced.
func (e OrderPlaced) Validate() error {
	var p problems
	p.id("order_id", e.OrderID)
	p.id("user_id", e.UserID)
	switch {
	case e.HasTotal:
		p.money("total", e.Total, 1)
	case len(e.Items) == 0:
		p.add("total", "is required when there are no items")
	case e.Total.Minor != 0:
		p.add("total", "must be 0 when it is not given")
	default:
		p.money("total", e.Total, 0)
	}
	p.items(e.Items, e.Total.Currency)
	p.optional("payment_method", e.PaymentMethod)
	p.email("email", e.Email)
	return p.join()
}

// Validate implements Event.
func (e PaymentRequested) Validate() error {
	var p problems
	p.id("order_id", e.OrderID)
	p.id("user_id", e.UserID)
	p.money("amount", e.Amount, 1)
	p.optional("payment_method", e.PaymentMethod)
	return p.join()
}

// Validate implements Event.
func (e PaymentCaptured) Validate() error {
	var p problems
	p.id("order_id", e.OrderID)
	p.id("user_id", e.UserID)
	p.money("amount", e.Amount, 1)
	p.id("payment_id", e.PaymentID)
	return p.join()
}

// Validate implements Event.
func (e RefundRequested) Validate() error {
	var p problems
	p.id("order_id", e.OrderID)
	p.id("user_id", e.UserID)
	p.money("amount", e.Amount, 1)
	p.text("reason", e.Reason, MaxReasonLength, false)
	return p.join()
}

// Validate implements Event. Amount 0 is a payment that was voided before capture.
func (e PaymentRefunded) Validate() error {
	var p problems
	p.id("order_id", e.OrderID)
	p.id("user_id", e.UserID)
	p.money("amount", e.Amount, 0)
	p.optional("payment_id", e.PaymentID)
	return p.join()
}

// Validate implements Event.
func (e NotificationRequested) Validate() error {
	var p problems
	p.id("user_id", e.UserID)
	p.text("message", e.Message, MaxMessageLength, true)
	if e.Channel != ChannelEmail {
		p.add("channel", "must be %q", ChannelEmail)
	}
	p.optional("order_id", e.OrderID)
	p.code("kind", e.Kind)
	p.email("to", e.To)
	return p.join()
}

// Validate implements Event. The total is 0 when the order was refused before it could be priced.
func (e OrderRejected) Validate() error {
	var p problems
	p.id("order_id", e.OrderID)
	p.id("user_id", e.UserID)
	p.money("total", e.Total, 0)
	p.items(e.Items, e.Total.Currency)
	p.optional("payment_method", e.PaymentMethod)
	p.email("email", e.Email)
	p.text("reason", e.Reason, MaxReasonLength, false)
	return p.join()
}

// Validate implements Event.
func (e PaymentFailed) Validate() error {
	var p problems
	p.id("order_id", e.OrderID)
	p.id("user_id", e.UserID)
	p.money("total", e.Total, 0)
	p.text("reason", e.Reason, MaxReasonLength, false)
	return p.join()
}
