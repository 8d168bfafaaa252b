package domain

import (
	"cmp"
	"slices"
	"time"

	"pasdetrois/pkg/messages"
)

// content is what an order is made of.
type content struct {
	Placement
	total     messages.Money
	lines     []Line
	createdAt time.Time
	by        string
	unpriced  bool // it has lines whose prices are not known
}

// place makes the pending order.
func (c content) place(policy Policy) (Order, error) {
	return c.order(c.total, c.lines, c.by, policy, c.createdAt)
}

// stated is the content as the messages of the orders service state it.
type stated struct {
	userID  string
	total   messages.Money
	priced  bool // total is known
	items   []messages.Item
	listed  bool // items is known, also when there are none
	method  *string
	email   *string
	created time.Time
	trace   string
}

// stated reads what the decisions state.
func (f *facts) stated() stated {
	var s stated
	add := func(m *messages.Message) {
		if m == nil {
			return
		}
		s.trace = cmp.Or(s.trace, m.TraceParent)
		if s.created.IsZero() {
			s.created = m.OrderTime
		}
		order := func(userID string, total messages.Money, items []messages.Item) {
			s.userID, s.total, s.priced = userID, total, true
			if !s.listed {
				s.items, s.listed = items, true
			}
		}
		switch e := m.Event.(type) {
		case messages.OrderRejected:
			order(e.UserID, e.Total, e.Items)
			s.method = &e.PaymentMethod
			if e.Email != "" { // of an earlier version: since then the notification alone has the address
				s.email = &e.Email
			}
		case messages.OrderConfirmed:
			order(e.UserID, e.Total, e.Items)
		case messages.OrderCancelled:
			order(e.UserID, e.Total, e.Items)
		case messages.OrderFailed:
			order(e.UserID, e.Total, e.Items)
		case messages.PaymentRequested:
			s.userID, s.total, s.priced, s.method = e.UserID, e.Amount, true, &e.PaymentMethod
			if e.Step != "" && !s.listed { // a version without the step lists no items
				s.items, s.listed = e.Items, true
			}
		case messages.RefundRequested:
			s.userID = e.UserID
			if m == f.off {
				s.total, s.priced = e.Amount, true
			}
		case messages.NotificationRequested:
			s.userID, s.email = e.UserID, &e.To
		}
	}
	for _, status := range messages.SettledStatuses() {
		add(f.ended[Status(status)])
	}
	for _, m := range []*messages.Message{f.requested, f.off, f.late} {
		add(m)
	}
	for _, status := range messages.SettledStatuses() {
		add(f.said[Status(status)])
	}
	// The step of an order from Kafka makes the order, so both have one time. So does a payment that waits for it.
	for _, m := range []*messages.Message{f.requested, f.ended[Rejected], f.off} {
		if s.created.IsZero() && m != nil {
			s.created = m.Time
		}
	}
	return s
}

// agrees reports whether an order_placed is the one that was decided about.
func (s *stated) agrees(p Placement) bool {
	if s.userID == "" {
		return true
	}
	o := Order{UserID: s.userID, Total: s.total, PaymentMethod: p.PaymentMethod, Email: p.Email, Lines: p.Lines}
	if s.listed {
		o.Lines = linesOf(s.items)
	}
	if !s.priced {
		o.Total = p.Total
	}
	if s.method != nil {
		o.PaymentMethod = *s.method
	}
	if s.email != nil {
		o.Email = *s.email
	}
	return o.Same(p) == nil
}

// content returns what the order is made of, or what is missing. The order_placed of the orders service has everything. Of those
// of other producers the one counts that the decisions agree with. When none is left, the decisions themselves say it.
func (f *facts) content(row *Order) (c content, gap string) {
	s := f.stated()
	if f.own != nil {
		e := f.own.Event.(messages.OrderPlaced)
		c = content{Placement: PlacementOf(e, f.own.TraceParent), total: e.Total, lines: linesOf(e.Items), createdAt: f.own.Time, by: TriggerHTTP}
		return c, "" // it is published for a row that was made
	}
	if s.userID == "" {
		return c, "the order was never taken"
	}
	c = content{Placement: Placement{OrderID: f.orderID(), UserID: s.userID, TraceParent: s.trace}, total: s.total,
		lines: linesOf(s.items), createdAt: s.created, by: messages.EventOrderPlaced}
	for _, i := range f.placed {
		e := f.told[i].Event.(messages.OrderPlaced)
		p := PlacementOf(e, s.trace)
		if !s.agrees(p) {
			continue
		}
		c.Placement = p
		if !s.priced {
			if s.total, s.priced = f.totalOf(p); !s.priced {
				return c, "no message has the order's total"
			}
			c.total = s.total
		}
		if c.createdAt.IsZero() {
			c.createdAt = f.told[i].Time
		}
		if !s.listed {
			c.lines = linesOf(e.Items)
			c.unpriced = !priceable(c.lines, s.total)
			if c.unpriced {
				c.lines = p.Lines
			}
		}
		if c.unpriced && row != nil && sameLines(row.Lines, c.lines) {
			c.lines, c.unpriced = row.Lines, false
		}
		return c, ""
	}
	if s.method != nil {
		c.PaymentMethod = *s.method
	}
	if s.email != nil {
		c.Email = *s.email
	}
	switch {
	case row != nil: // it has what the messages lost
		return c, "its order_placed is in no topic any more"
	case !s.priced:
		return c, "no message has the order's total"
	case !s.listed:
		return c, "no message has the order's lines"
	case c.createdAt.IsZero():
		return c, "no message has the time when the order was taken"
	}
	return c, ""
}

// totalOf returns the total of an order about which only an email was published: the stated one, or that of the failed payment
// which ended the order.
func (f *facts) totalOf(p Placement) (messages.Money, bool) {
	if p.HasTotal {
		return p.Total, true
	}
	for _, i := range f.failures {
		if e := f.told[i].Event.(messages.PaymentFailed); e.UserID == p.UserID {
			return e.Total, true
		}
	}
	return messages.Money{}, false
}

// priceable sets the price of a single line from the total, and reports whether the lines cost the total.
func priceable(lines []Line, total messages.Money) bool {
	if len(lines) == 1 && total.Minor%int64(lines[0].Quantity) == 0 {
		lines[0].UnitPrice = messages.Money{Minor: total.Minor / int64(lines[0].Quantity), Currency: total.Currency}
		return true
	}
	sum := messages.Money{Currency: total.Currency}
	for _, l := range lines {
		cost, err := l.UnitPrice.Mul(l.Quantity)
		if err == nil {
			sum, err = sum.Add(cost)
		}
		if err != nil {
			return false
		}
	}
	return len(lines) == 0 || sum == total && !slices.ContainsFunc(lines, func(l Line) bool { return l.UnitPrice.Currency == "" })
}

// linesOf returns the lines of a message with the prices that it has.
func linesOf(items []messages.Item) []Line {
	var lines []Line
	for _, it := range items {
		l := Line{SKU: it.SKU, Quantity: it.Quantity}
		if it.UnitPrice != nil {
			l.UnitPrice = *it.UnitPrice
		}
		lines = append(lines, l)
	}
	return lines
}

func (f *facts) orderID() string { return f.told[0].Event.Order() }
