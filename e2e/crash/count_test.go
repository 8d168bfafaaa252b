package crash

import (
	"fmt"
	"maps"
	"slices"

	"pasdetrois/e2e/purchase"
)

// count compares the books with the purchases. It returns everything that does not agree.
type count struct {
	bought   map[string]purchase.Purchase
	orders   map[string]orderRow
	books    *books
	tally    tally
	problems []string
}

func countUp(purchases []purchase.Purchase, b *books) (tally, []string) {
	c := &count{bought: map[string]purchase.Purchase{}, orders: map[string]orderRow{}, books: b}
	c.tally.Outcomes = map[string]int{}
	for _, p := range purchases {
		c.bought[p.ID] = p
	}
	for _, o := range b.Orders {
		c.orders[o.ID] = o
	}
	c.outcomes()
	c.timelines()
	c.money()
	c.stock()
	c.messages()
	c.notifications()
	for _, l := range b.Left {
		if l.Count != 0 {
			c.wrong("%s: %d", l.What, l.Count)
		}
	}
	return c.tally, c.problems
}

func (c *count) wrong(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// outcomes: each accepted order is there once, with the outcome that its card, the shelf and its customer led to.
func (c *count) outcomes() {
	for id, p := range c.bought {
		o, ok := c.orders[id]
		if !ok {
			c.wrong("order %s was accepted and is lost", id)
			continue
		}
		c.tally.Outcomes[o.Status]++
		if got := o.Status + " " + o.Reason; !slices.Contains(p.Outcomes(), got) {
			c.wrong("order %s is %q, expected %q", id, got, p.Outcomes())
		}
		if o.TotalMinor != p.TotalMinor || o.UserID != p.User {
			c.wrong("order %s of user %s is over %d, expected user %s and %d", id, o.UserID, o.TotalMinor, p.User, p.TotalMinor)
		}
	}
	for id := range c.orders {
		if _, ok := c.bought[id]; !ok {
			c.wrong("order %s was placed by nobody", id)
		}
	}
}

// timelines: each order's changes are numbered without a gap, each begins where the one before ended, and no status is
// reached twice.
func (c *count) timelines() {
	last := map[string]stepRow{}
	reached := map[string]bool{}
	for _, s := range c.books.Steps { // by order and number
		before := last[s.ID]
		if s.Number != before.Number+1 || s.From != before.To {
			c.wrong("order %s goes from step %d (%s) to step %d (%s to %s)", s.ID, before.Number, before.To, s.Number, s.From, s.To)
		}
		if s.From != s.To {
			if key := s.ID + " " + s.To; reached[key] {
				c.wrong("order %s became %s twice", s.ID, s.To)
			} else {
				reached[key] = true
			}
		}
		last[s.ID] = s
	}
	for id, o := range c.orders {
		if last[id].To != o.Status {
			c.wrong("order %s is %s, its timeline ends with %q", id, o.Status, last[id].To)
		}
	}
}

// money: the provider took the total of each confirmed order once, and keeps nothing else.
func (c *count) money() {
	taken := map[string][]ledgerRow{}
	for _, l := range c.books.Ledger {
		c.tally.ChargesAskedAgain += l.ChargeCalls - 1
		switch l.Status {
		case "charged", "refunded":
			taken[l.ID] = append(taken[l.ID], l)
			c.tally.Charges++
			c.tally.ChargedMinor += l.AmountMinor
			if l.Status == "refunded" {
				c.tally.Refunds++
				c.tally.RefundedMinor += l.AmountMinor
			}
		case "declined":
			c.tally.Declined++
		default:
			c.wrong("order %s: the provider's entry is %s", l.ID, l.Status)
		}
		if _, ok := c.orders[l.ID]; !ok {
			c.wrong("order %s is unknown to us, but not to the provider", l.ID)
		}
	}
	payments := map[string]paymentRow{}
	for _, p := range c.books.Payments {
		payments[p.ID] = p
	}
	for id, o := range c.orders {
		entries, p := taken[id], payments[id]
		if len(entries) > 1 {
			c.wrong("order %s was charged %d times", id, len(entries))
		}
		if o.Status != "confirmed" {
			for _, e := range entries {
				if e.Status == "charged" {
					c.wrong("order %s is %s, and its money was kept", id, o.Status)
				}
			}
			if p.Status == "captured" || o.Status == "failed" && p.Status != "failed" || o.Status == "rejected" && p.Status != "" {
				c.wrong("order %s is %s, its payment %q", id, o.Status, p.Status)
			}
			continue
		}
		c.tally.ConfirmedMinor += o.TotalMinor
		if len(entries) == 0 {
			c.wrong("order %s is confirmed and was never charged", id)
			continue
		}
		e := entries[0]
		if e.Status != "charged" || e.AmountMinor != o.TotalMinor {
			c.wrong("order %s is confirmed over %d, the provider has %d %s", id, o.TotalMinor, e.AmountMinor, e.Status)
		}
		if p.Status != "captured" || p.PaymentID != e.PaymentID || o.PaymentID != e.PaymentID {
			c.wrong("order %s: the provider's payment is %s, payments has %s %s, orders %s", id, e.PaymentID, p.PaymentID, p.Status, o.PaymentID)
		}
	}
	if kept := c.tally.ChargedMinor - c.tally.RefundedMinor; kept != c.tally.ConfirmedMinor {
		c.wrong("the provider keeps %d, the confirmed orders come to %d", kept, c.tally.ConfirmedMinor)
	}
}

// stock: what the confirmed orders are of is sold, and nothing is set aside any more.
func (c *count) stock() {
	sold := map[string]int64{}
	for id, o := range c.orders {
		if p := c.bought[id]; o.Status == "confirmed" && p.SKU != "" {
			sold[p.SKU] += int64(p.Quantity)
			c.tally.ConfirmedPieces += int64(p.Quantity)
		}
	}
	for _, s := range c.books.Stock {
		c.tally.Sold += s.Sold
		if s.Available+s.Reserved+s.Sold != s.Stocked || s.Reserved != 0 || s.Sold != sold[s.SKU] {
			c.wrong("%s: %d available, %d reserved, %d sold of %d, but %d were confirmed",
				s.SKU, s.Available, s.Reserved, s.Sold, s.Stocked, sold[s.SKU])
		}
		delete(sold, s.SKU)
	}
	for _, sku := range slices.Sorted(maps.Keys(sold)) {
		c.wrong("%d of %s were sold without any", sold[sku], sku)
	}
}
