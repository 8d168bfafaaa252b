package domain

import (
	"cmp"
	"slices"
	"time"

	"pasdetrois/pkg/messages"
)

// heard is the messages of one order, sorted by what they are.
type heard struct {
	requests, refunds            []Told // in the order in which the service reads them, as far as that is known
	captured, failed             *Told
	refunded, voided             *Told // payment_refunded with and without an amount
	requestRefused, refundUnpaid bool  // the answers to an order whose id is taken
}

func hear(told []Told) heard {
	told = slices.Clone(told)
	var h heard
	for i := range told {
		t := &told[i]
		t.Time = t.Time.UTC().Truncate(time.Microsecond)
		ours := t.Source == messages.ServicePayments
		taken := ours && t.ID == messages.ID(t.Event.Order(), t.Event.EventName(), StepTaken)
		switch e := t.Event.(type) {
		case messages.PaymentRequested:
			h.requests = append(h.requests, *t)
		case messages.RefundRequested:
			h.refunds = append(h.refunds, *t)
		case messages.PaymentCaptured:
			keep(&h.captured, t, ours)
		case messages.PaymentFailed:
			h.requestRefused = h.requestRefused || taken
			keep(&h.failed, t, ours && !taken)
		case messages.PaymentRefunded:
			h.refundUnpaid = h.refundUnpaid || taken
			keep(&h.refunded, t, ours && !taken && e.Amount.Minor > 0)
			keep(&h.voided, t, ours && !taken && e.Amount.Minor == 0)
		}
	}
	asRead(h.requests)
	asRead(h.refunds)
	return h
}

// keep keeps the first message that counts.
func keep(first **Told, t *Told, counts bool) {
	if counts && *first == nil {
		*first = t
	}
}

// asRead sorts the messages of each partition by their offset, because their times are their producers' own. Between partitions
// the given order stands, which is that of the times: nobody knows which one was read first.
func asRead(told []Told) {
	type partition struct {
		topic  string
		number int32
	}
	slots := make(map[partition][]int)
	for i, t := range told {
		p := partition{t.Topic, t.Partition}
		slots[p] = append(slots[p], i)
	}
	for _, at := range slots {
		own := make([]Told, len(at))
		for i, slot := range at {
			own[i] = told[slot]
		}
		slices.SortStableFunc(own, func(a, b Told) int { return cmp.Compare(a.Offset, b.Offset) })
		for i, slot := range at {
			told[slot] = own[i]
		}
	}
}

func (t Told) before(other Told) bool {
	return t.Topic == other.Topic && t.Partition == other.Partition && t.Offset < other.Offset
}

func request(t Told) Request {
	e := t.Event.(messages.PaymentRequested)
	return Request{OrderID: e.OrderID, UserID: e.UserID, Amount: e.Amount, Method: e.PaymentMethod,
		Outside: t.Source != messages.ServiceOrders}
}

func refund(t Told) Refund {
	e := t.Event.(messages.RefundRequested)
	return Refund{OrderID: e.OrderID, UserID: e.UserID, Amount: e.Amount, Reason: e.Reason,
		Outside: t.Source != messages.ServiceOrders}
}
