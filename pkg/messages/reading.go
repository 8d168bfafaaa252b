package messages

import (
	"errors"
	"math"
	"time"
)

// Reading has the values of one record, for a tool that shows or counts records of any topic. Its values are the ones that
// the services read. A Reading may be no valid event: rules such as "user_id is required" are not checked.
type Reading struct {
	// Event is the name that the table of eventName gives. On a topic of another contract, it is the body's
	// `event`, else the type. It is "" for a record without a name that a person could read.
	Event string
	// Unknown is the record's type when that type is why no service acts on the record. Event is "" then.
	Unknown string
	// OrderID and UserID are texts, or the digits of a number. They are "" for any other value.
	OrderID, UserID string
	// Time is the body's timestamp, else the header ce_time. It is zero when neither can be read.
	Time time.Time
	// Amount is the record's amount of money: `total` or `amount`, as its event has it. HasAmount is false for a record
	// without one, and for one that cannot be read exactly, which BadAmount reports.
	Amount               Money
	HasAmount, BadAmount bool
}

// Name returns the event's name, or "unknown: " and the type of a record that no service acts on.
func (r Reading) Name() string {
	if r.Unknown != "" {
		return UnknownEvent + ": " + r.Unknown
	}
	return r.Event
}

// UnknownEvent is the name of all records that no service acts on because of their type.
const UnknownEvent = "unknown"

// Read reads a record of any topic. Its error is a *DecodeError: the value is no JSON object that can be understood in
// one way only. On the contract's topics the error is the one that the services park the record with.
func Read(r Record) (Reading, error) {
	first, ours := firstEvent(r.Topic)
	b := body{limits: limits{size: math.MaxInt, depth: maxForeignDepth}}
	if ours {
		b.limits = limits{size: MaxBody}
	}
	if err := b.scan(r.Value); err != nil {
		return Reading{}, err
	}
	h, err := b.open(r.Headers)
	if err != nil {
		return Reading{}, err
	}
	out := Reading{OrderID: b.plainID(fOrderID), UserID: b.plainID(fUserID), Time: h.time}
	if t, ok := timeOf(b.f[fTimestamp]); ok {
		out.Time = t
	}
	if ours {
		out.name(&b, h.typ, r.Topic, first)
	} else {
		out.nameElsewhere(&b, h.typ)
	}
	out.amount(&b, r.Topic)
	return out, nil
}

// name names a record of one of the contract's topics.
func (r *Reading) name(b *body, typ, topic, first string) {
	name, err := eventName(typ, b.f[fEvent], topic, first)
	var bad *DecodeError
	switch {
	case err == nil:
		r.Event = name
	case !errors.As(err, &bad) || bad.Reason == ReasonForeignType:
		r.Unknown = typ
	}
}

// nameElsewhere names a record of another topic, where no type is foreign.
func (r *Reading) nameElsewhere(b *body, typ string) {
	switch v := b.f[fEvent]; {
	case v.kind == text && validName(v.s) == nil:
		r.Event = v.s
	case v.kind == absent && typ != unreadableType:
		r.Event = typ
	}
}

func (b *body) plainID(f int) string {
	c := converter{body: b}
	return c.id(f)
}

// amount reads the amount of the field that the event has on its topic, else of `amount` or `total`.
func (r *Reading) amount(b *body, topic string) {
	v := b.f[fAmount]
	if v.kind == absent {
		v = b.f[fTotal]
	}
	if topicOf(r.Event) == topic {
		f := amountField(r.Event)
		if f < 0 {
			return
		}
		v = b.f[f]
	}
	if v.kind == absent {
		return
	}
	c := converter{body: b}
	r.Amount, r.HasAmount = c.moneyOf("amount", v)
	r.BadAmount = !r.HasAmount
}
