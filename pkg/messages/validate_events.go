package messages

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

// Validate implements Event.
func (e OrderConfirmed) Validate() error {
	var p problems
	p.id("order_id", e.OrderID)
	p.id("user_id", e.UserID)
	p.money("total", e.Total, 1)
	p.items(e.Items, e.Total.Currency)
	p.id("payment_id", e.PaymentID)
	p.requiredCode("step", e.Step)
	return p.join()
}

// Validate implements Event.
func (e OrderCancelled) Validate() error {
	var p problems
	p.id("order_id", e.OrderID)
	p.id("user_id", e.UserID)
	p.money("total", e.Total, 0)
	p.items(e.Items, e.Total.Currency)
	p.optional("payment_id", e.PaymentID)
	p.text("reason", e.Reason, MaxReasonLength, false)
	p.requiredCode("step", e.Step)
	return p.join()
}

// Validate implements Event.
func (e OrderFailed) Validate() error { return OrderCancelled(e).Validate() }
