package chaos

import (
	"fmt"
	"slices"

	"pasdetrois/e2e/purchase"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/audit"
)

// note is what one customer wanted, and what the services told the customer.
type note struct {
	purchase.Purchase          // ID is "" until an answer names the order
	Taken             bool     // an answer said that the order is taken
	Refused           int      // the status of the answer that ended the asking: the order is not taken
	IDs               []string // every order id that an answer named, each once
	CancelUnknown     bool     // no answer says whether the cancelling was accepted
	Seen              string   // the last end that the customer was shown, "" = none
}

// tell notes the order id of an answer.
func (n *note) tell(id string) {
	n.Taken, n.ID = true, id
	if !slices.Contains(n.IDs, id) {
		n.IDs = append(n.IDs, id)
	}
}

// order is a row of the orders' table.
type order struct {
	ID         string `db:"order_id"`
	UserID     string
	Status     string
	Reason     string
	TotalMinor int64
}

func (o order) settled() bool { return messages.Settled(o.Status) }

// verdict counts the flaws of a run. Problems names them.
type verdict struct {
	Lost, Doubled, Oversold, Unsettled int
	Problems                           []string
}

func (v *verdict) wrong(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

// compare holds the customers' notes against the orders. Each customer has a user id of its own and wants one order.
func (v *verdict) compare(notes []*note, orders []order) {
	of := map[string][]order{}
	for _, o := range orders {
		of[o.UserID] = append(of[o.UserID], o)
	}
	for _, n := range notes {
		v.one(n, of[n.User])
		delete(of, n.User)
	}
	for user, strange := range of {
		v.wrong("user %s has %d orders and asked for none", user, len(strange))
	}
}

func (v *verdict) one(n *note, orders []order) {
	if len(orders) > 1 || len(n.IDs) > 1 {
		v.Doubled++
		v.wrong("%s asked for one order, has %d, and was answered with %q", n.User, len(orders), n.IDs)
		return
	}
	if len(orders) == 0 {
		if n.Taken {
			v.Lost++
			v.wrong("order %s of %s was taken and is lost", n.ID, n.User)
		}
		return
	}
	o := orders[0]
	switch {
	case n.Taken && o.ID != n.ID:
		v.wrong("%s was answered with order %s and has %s", n.User, n.ID, o.ID)
	case n.Refused != 0 && !n.Taken:
		v.wrong("%s was refused with %d and has order %s", n.User, n.Refused, o.ID)
	}
	if o.TotalMinor != n.TotalMinor {
		v.wrong("order %s is over %d, its customer asked for %d", o.ID, o.TotalMinor, n.TotalMinor)
	}
	if !o.settled() {
		v.Unsettled++
		v.wrong("order %s is %s", o.ID, o.Status)
		return
	}
	v.ended(n, o)
}

// ended compares the end of an order with the ends that its customer had to expect and was shown.
func (v *verdict) ended(n *note, o order) {
	expected := n.Outcomes()
	if n.CancelUnknown {
		cancelled := n.Purchase
		cancelled.Cancelled = true
		expected = append(expected, cancelled.Outcomes()...)
	}
	if got := o.Status + " " + o.Reason; !slices.Contains(expected, got) {
		v.wrong("order %s is %q, expected %q", o.ID, got, expected)
	}
	if n.Seen != "" && n.Seen != o.Status && o.Status != "cancelled" {
		v.wrong("order %s is %s, its customer was shown %s", o.ID, o.Status, n.Seen)
	}
}

// audited adds the findings of an audit. Checks that a row's faults make meaningless are left out by name.
func (v *verdict) audited(r *audit.Report, leaveOut ...string) {
	for _, c := range r.Checks {
		if c.Wrong == 0 || slices.Contains(leaveOut, c.Name) {
			continue
		}
		switch c.Name {
		case "charges":
			v.Doubled += int(c.Wrong)
		case "stock":
			v.Oversold += int(c.Wrong)
		}
		v.wrong("audit: %s: %d wrong: %q", c.Name, c.Wrong, c.Examples)
	}
}
