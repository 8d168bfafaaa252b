package messages

// The tag `wire` describes a field in the message: its name, the kind of its value, and whether it may be missing. The
// schemas under docs/ and codec_gen.go are generated from it. Money adds a field `currency`, which all amounts share.
// A field is lenient where it was added to an event that foreign producers write: a value of another form counts as absent, as
// before there was such a field. A field is deprecated when the services read it and do not write it any more.

// Item is one line of an order.
type Item struct {
	SKU      string `wire:"sku,sku"`
	Quantity int    `wire:"quantity,quantity"`
	// UnitPrice is informative, nil when the producer gave none: an order with items is priced by the catalogue.
	UnitPrice *Money `wire:"unit_price,money,optional"`
}

// OrderPlaced is `order_placed` on topic `orders`: a user placed an order.
type OrderPlaced struct {
	OrderID string `wire:"order_id,id"`
	UserID  string `wire:"user_id,id"`
	// Total is the price of the order. Total.Minor is 0 when a foreign producer gave items but no total (HasTotal is false).
	// Total.Currency is the order's currency in both cases.
	Total         Money  `wire:"total,money,positive,optional"`
	HasTotal      bool   `wire:"-"`
	Items         []Item `wire:"items,items,optional"`
	PaymentMethod string `wire:"payment_method,name,optional"` // "" = the default method
	Email         string `wire:"email,email,optional"`         // "" = the user's default address
}

// PaymentRequested is `payment_requested` on topic `payments`. Items and Step are the decision of the orders service: the lines
// whose pieces are reserved, with the prices of the catalogue, and the cause. A foreign producer has no use for either.
type PaymentRequested struct {
	OrderID       string `wire:"order_id,id"`
	UserID        string `wire:"user_id,id"`
	Amount        Money  `wire:"amount,money,positive"`
	Items         []Item `wire:"items,items,optional,lenient"`
	PaymentMethod string `wire:"payment_method,name,optional"` // "" = the default method
	Step          string `wire:"step,code,optional,lenient"`   // "" = another producer, or a version without the field
}

// PaymentCaptured is `payment_captured` on topic `payments`.
type PaymentCaptured struct {
	OrderID   string `wire:"order_id,id"`
	UserID    string `wire:"user_id,id"`
	Amount    Money  `wire:"amount,money,positive"`
	PaymentID string `wire:"payment_id,id"`
}

// RefundRequested is `refund_requested` on topic `payments`.
type RefundRequested struct {
	OrderID string `wire:"order_id,id"`
	UserID  string `wire:"user_id,id"`
	Amount  Money  `wire:"amount,money,positive"`
	Reason  string `wire:"reason,reason"`
	Step    string `wire:"step,code,optional,lenient"` // the cause of the request, "" from another producer, or a version without the field
}

// PaymentRefunded is `payment_refunded` on topic `payments`. Amount 0 means that the payment was voided before capture.
type PaymentRefunded struct {
	OrderID   string `wire:"order_id,id"`
	UserID    string `wire:"user_id,id"`
	Amount    Money  `wire:"amount,money"`
	PaymentID string `wire:"payment_id,id,optional"` // "" when nothing was captured
}

// NotificationRequested is `notification_requested` on topic `notifications`.
type NotificationRequested struct {
	UserID  string `wire:"user_id,id"`
	Message string `wire:"message,message"`
	Channel string `wire:"channel,channel,optional"` // "email"
	OrderID string `wire:"order_id,id,optional"`     // "" when the notification belongs to no order
	Kind    string `wire:"kind,code,optional"`       // one of the Kind constants, a later one, or ""
	To      string `wire:"to,email,optional"`        // address; "" = the user's default address
}

// OrderRejected is `order_rejected` on topic `order-failures`: the order's own fields and why it was refused.
type OrderRejected struct {
	OrderID       string `wire:"order_id,id"`
	UserID        string `wire:"user_id,id"`
	Total         Money  `wire:"total,money"`
	Items         []Item `wire:"items,items,optional"`
	PaymentMethod string `wire:"payment_method,name,optional"`
	Email         string `wire:"email,email,optional,deprecated"` // earlier versions wrote it; nobody needs an address here
	Reason        string `wire:"reason,reason"`
}

// PaymentFailed is `payment_failed` on topic `order-failures`.
type PaymentFailed struct {
	OrderID string `wire:"order_id,id"`
	UserID  string `wire:"user_id,id"`
	Total   Money  `wire:"total,money"`
	Reason  string `wire:"reason,reason"`
}

// The outcomes of orders, for services and programs that act on them. Step is the cause of the decision: the event that the
// orders service handled, or http. Step is also a part of the message's id (see ID). The timestamp is the time of the decision.

// OrderConfirmed is `order_confirmed` on topic `orders`: the order is paid and its stock is sold.
type OrderConfirmed struct {
	OrderID   string `wire:"order_id,id"`
	UserID    string `wire:"user_id,id"`
	Total     Money  `wire:"total,money,positive"`
	Items     []Item `wire:"items,items,optional"`
	PaymentID string `wire:"payment_id,id"`
	Step      string `wire:"step,code"`
}

// OrderCancelled is `order_cancelled` on topic `orders`: the user called the order off, or its payment was refunded without a
// request of the orders service. No money is kept for it. A confirmed order can be cancelled later.
type OrderCancelled struct {
	OrderID   string `wire:"order_id,id"`
	UserID    string `wire:"user_id,id"`
	Total     Money  `wire:"total,money"`
	Items     []Item `wire:"items,items,optional"`
	PaymentID string `wire:"payment_id,id,optional"` // of the payment that was given back, "" when none was captured
	Reason    string `wire:"reason,reason"`
	Step      string `wire:"step,code"`
}

// OrderFailed is `order_failed` on topic `order-failures`. The order was not paid in time, its stock was short after it was
// paid, or its id has a payment that went back. No money is kept for it. An order whose payment was declined ends with
// PaymentFailed instead.
type OrderFailed struct {
	OrderID   string `wire:"order_id,id"`
	UserID    string `wire:"user_id,id"`
	Total     Money  `wire:"total,money"`
	Items     []Item `wire:"items,items,optional"`
	PaymentID string `wire:"payment_id,id,optional"` // of the payment that was given back, "" when none was captured
	Reason    string `wire:"reason,reason"`
	Step      string `wire:"step,code"`
}

// InventoryChanged is `inventory_changed` on topic `orders`: an operator changed a product, or added pieces to it. It is
// absolute, so the one with the highest version says what the product is. The key of its record is the sku, because the event
// is about no order. The pieces that are reserved or sold follow from the orders.
type InventoryChanged struct {
	SKU     string `wire:"sku,sku"`
	Name    string `wire:"name,title"`
	Price   Money  `wire:"price,money,positive"` // of one piece
	Stocked int64  `wire:"stocked,count"`        // all pieces that were ever added
	Version int64  `wire:"version,count"`        // rises with each change of the product
}

// The outcomes of notifications, for programs that act on them. MessageID is the id of the request: of NotificationRequested.

// NotificationSent is `notification_sent` on topic `notifications`: the mail server accepted the email.
type NotificationSent struct {
	MessageID string `wire:"message_id,id"`
	OrderID   string `wire:"order_id,id,optional"` // "" when the notification belongs to no order
	UserID    string `wire:"user_id,id"`
	Kind      string `wire:"kind,code,optional"`
	Channel   string `wire:"channel,channel,optional"`
}

// NotificationFailed is `notification_failed` on topic `notifications`: the notification is given up.
type NotificationFailed struct {
	MessageID string `wire:"message_id,id"`
	OrderID   string `wire:"order_id,id,optional"` // "" when the notification belongs to no order
	UserID    string `wire:"user_id,id"`
	Kind      string `wire:"kind,code,optional"`
	Channel   string `wire:"channel,channel,optional"`
	Reason    string `wire:"reason,reason"`
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
