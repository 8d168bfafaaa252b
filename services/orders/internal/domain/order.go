// Package domain holds the rules of orders: the statuses and the one table of transitions, the stock that an order takes and
// gives back, its price, and the meaning of each message about it. It has no database and no broker.
package domain

import (
	"fmt"
	"time"

	"pasdetrois/pkg/messages"
)

// Line is one line of an order.
type Line struct {
	SKU      string
	Quantity int
	// UnitPrice is the catalogue's price when the order was priced; the zero Money when it could not be.
	UnitPrice messages.Money
}

// Order is one order. Its methods change it in memory, note each change in Changes, and leave it as it was when they
// return an error.
type Order struct {
	ID            string
	UserID        string
	Total         messages.Money // Minor 0 = it could not be priced; such an order is rejected
	Lines         []Line         // none: the order reserves no stock
	PaymentMethod string         // "" = the default method
	Email         string         // "" = the user's default address
	Status        Status
	Reason        string // why it was rejected, failed or cancelled; "" otherwise
	Holds         Holding
	PaymentID     string // of the money that was taken, also when it went back later; "" = none seen
	// LatePayment says that money came in after the order had ended without it. It is asked back.
	LatePayment bool
	// DecidedBy is the cause of Status: the event of the handled message, or one of the Trigger constants. Only a repetition of
	// that message repeats outputs.
	DecidedBy   string
	Version     int64     // how many changes there were; the number of the last one in the timeline
	CreatedAt   time.Time // when we received it
	UpdatedAt   time.Time
	StatusAt    time.Time // when Status was reached
	DueAt       time.Time // when a sweeper must act on it; zero = never
	Nudges      int       // how often its message was published again while in Status
	TraceParent string    // of the request or message that brought it

	// Changes are those made since the order was read. They are stored with it, as its timeline.
	Changes []Change
}

// The causes of a status other than a message.
const (
	TriggerHTTP    = "http"
	TriggerTimeout = "timeout"
)

// Change is one entry of an order's timeline.
type Change struct {
	Number int64  // 1, 2, 3, … per order
	Event  string // what happened, named like the contract's events where there is one
	From   Status // "" on the first
	To     Status // equal to From when only something was noted
	Detail string // a reason code or a few words
	At     time.Time
}

// move is the only place where a status changes.
func (o *Order) move(to Status, event, detail, by string, at time.Time) error {
	if !o.Status.CanBecome(to) {
		return fmt.Errorf("order %s cannot go from %q to %q", o.ID, o.Status, to)
	}
	o.Version++
	o.Changes = append(o.Changes, Change{Number: o.Version, Event: event, From: o.Status, To: to, Detail: detail, At: at})
	o.Status, o.DecidedBy, o.UpdatedAt, o.StatusAt = to, by, at, at
	o.DueAt, o.Nudges = time.Time{}, 0
	return nil
}

// note adds an entry to the timeline and leaves the status.
func (o *Order) note(event, detail string, at time.Time) {
	o.Version++
	o.Changes = append(o.Changes, Change{Number: o.Version, Event: event, From: o.Status, To: o.Status, Detail: detail, At: at})
	o.UpdatedAt = at
}

// IsNew reports whether the order was never stored.
func (o *Order) IsNew() bool { return o.Version == int64(len(o.Changes)) }

// Stored returns the status and version that the order was read with.
func (o *Order) Stored() (Status, int64) {
	if len(o.Changes) == 0 {
		return o.Status, o.Version
	}
	return o.Changes[0].From, o.Changes[0].Number - 1
}

// Policy is how long the steps of an order may take.
type Policy struct {
	// PaymentTimeout is how long a requested payment may stay open.
	PaymentTimeout time.Duration
	// RepublishAfter is how long an order may be pending or cancelling before its message is published again; it
	// doubles with each time.
	RepublishAfter time.Duration
}

// maxRepublish bounds the doubling of RepublishAfter.
const maxRepublish = time.Hour

// Nudged sets the next time that the order's message is published again. This does not change the order: version and timeline
// stay.
func (o *Order) Nudged(p Policy, now time.Time) {
	o.Nudges++
	wait := p.RepublishAfter
	for range o.Nudges {
		if wait *= 2; wait >= maxRepublish {
			wait = maxRepublish
			break
		}
	}
	o.DueAt = now.Add(wait)
}
