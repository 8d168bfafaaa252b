package app_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/services/orders/internal/domain"
)

// topics keeps everything that is published, as Kafka would, and lets orders and a simulated payments handle it.
type topics struct {
	*world
	*rand.Rand
	records  []rebuild.Record
	seen     map[string]bool
	inbox    []rebuild.Record // that orders consumes and has not handled
	requests []messages.Message
	payments map[string]string // state by order
	amounts  map[string]messages.Money
}

func newTopics(w *world, seed, n uint64) *topics {
	return &topics{world: w, Rand: rand.New(rand.NewPCG(seed, n)), seen: map[string]bool{}, payments: map[string]string{}, amounts: map[string]messages.Money{}}
}

// publish writes messages as Kafka keeps them. A story has a message once.
func (w *topics) publish(ms ...messages.Message) {
	w.t.Helper()
	for _, m := range ms {
		r, err := m.Record()
		require.NoError(w.t, err)
		r.Offset = int64(len(w.records))
		decoded, err := messages.Decode(r)
		require.NoError(w.t, err)
		record := rebuild.Record{Message: decoded, Topic: r.Topic, Offset: r.Offset}
		switch decoded.Event.(type) {
		case messages.OrderPlaced, messages.PaymentCaptured, messages.PaymentFailed, messages.PaymentRefunded:
			w.inbox = append(w.inbox, record)
		case messages.PaymentRequested, messages.RefundRequested:
			w.requests = append(w.requests, decoded)
		}
		if !w.seen[decoded.ID] {
			w.seen[decoded.ID] = true
			w.records = append(w.records, record)
		}
	}
}

// handle lets orders handle a record.
func (w *topics) handle(r rebuild.Record) {
	w.t.Helper()
	var result []bus.Result
	switch e := r.Event.(type) {
	case messages.OrderPlaced:
		result = w.OnOrderPlaced(w.t.Context(), []bus.In[messages.OrderPlaced]{given(w, r, e)})
	case messages.PaymentCaptured:
		result = w.OnPaymentCaptured(w.t.Context(), []bus.In[messages.PaymentCaptured]{given(w, r, e)})
	case messages.PaymentFailed:
		result = w.OnPaymentFailed(w.t.Context(), []bus.In[messages.PaymentFailed]{given(w, r, e)})
	case messages.PaymentRefunded:
		result = w.OnPaymentRefunded(w.t.Context(), []bus.In[messages.PaymentRefunded]{given(w, r, e)})
	}
	if result[0].Err != nil {
		require.NotEmpty(w.t, fault.Reason(result[0].Err), "%v", result[0].Err)
	}
	w.publish(result[0].Publish...)
	w.publish(w.took()...)
}

func given[E messages.Event](w *topics, r rebuild.Record, e E) bus.In[E] {
	kept, err := r.Record()
	require.NoError(w.t, err)
	kept.Offset = r.Offset
	return bus.In[E]{ID: r.ID, Event: e, Time: r.Time, Record: kept, Outside: r.Outside, Source: r.Source, TraceParent: r.TraceParent}
}

// pay lets payments handle a request.
func (w *topics) pay(m messages.Message) {
	id := m.Event.Key()
	answer := func(e messages.Event, step string) {
		w.clock.pass(time.Millisecond)
		w.publish(messages.Message{ID: messages.ID(id, e.EventName(), step), Source: messages.ServicePayments, Event: e, Time: w.clock.Now(),
			Outside: m.Source != messages.ServiceOrders})
	}
	switch e := m.Event.(type) {
	case messages.PaymentRequested:
		switch {
		case w.payments[id] != "":
		case w.IntN(5) == 0:
			w.payments[id] = "failed"
			answer(messages.PaymentFailed{OrderID: id, UserID: e.UserID, Total: e.Amount, Reason: "card_declined"}, "fail")
		default:
			w.payments[id], w.amounts[id] = "captured", e.Amount
			answer(messages.PaymentCaptured{OrderID: id, UserID: e.UserID, Amount: e.Amount, PaymentID: "pay-" + id}, "capture")
		}
	case messages.RefundRequested:
		switch w.payments[id] {
		case "captured":
			w.payments[id] = "refunded"
			answer(messages.PaymentRefunded{OrderID: id, UserID: e.UserID, Amount: w.amounts[id], PaymentID: "pay-" + id}, "refund")
		case "", "failed":
			w.payments[id] = "voided"
			answer(messages.PaymentRefunded{OrderID: id, UserID: e.UserID, Amount: usd(0)}, "void")
		}
	}
}

// work is one random step of one of the orders.
func (w *topics) work(orders int) {
	w.clock.pass(time.Duration(1+w.IntN(2000)) * time.Millisecond)
	id := fmt.Sprintf("o%03d", w.IntN(orders))
	items := map[string]int{}
	for _, sku := range []string{"a", "b", "c"} {
		if w.IntN(2) == 0 {
			items[sku] = 1 + w.IntN(2)
		}
	}
	switch w.IntN(12) {
	case 0, 1:
		p := domain.Placement{OrderID: id, UserID: "u", Total: usd(1000), HasTotal: len(items) == 0, Email: "a@example.com"}
		for _, sku := range []string{"a", "b", "c"} {
			if items[sku] > 0 {
				p.Lines = append(p.Lines, domain.Line{SKU: sku, Quantity: items[sku]})
			}
		}
		if len(items) > 0 {
			p.Total = messages.Money{}
		}
		_, err := w.PlaceOrder(w.t.Context(), p, nil, nil)
		if err != nil {
			require.ErrorIs(w.t, err, domain.ErrContradiction)
		}
		w.publish(w.took()...)
	case 2, 3:
		e := messages.OrderPlaced{OrderID: id, UserID: "u", Total: messages.Money{Currency: "USD"}, PaymentMethod: "pm"}
		for _, sku := range []string{"a", "b", "c"} {
			if items[sku] > 0 {
				e.Items = append(e.Items, messages.Item{SKU: sku, Quantity: items[sku]})
			}
		}
		if len(items) == 0 {
			e.Total, e.HasTotal = usd(1000), true
		} else if w.IntN(10) == 0 {
			e.Items[0].SKU = "unheard of"
		}
		w.publish(messages.Message{ID: fmt.Sprint("foreign ", len(w.records)), Source: "shop:", Event: e, Time: w.clock.Now()})
	case 4:
		if w.IntN(6) == 0 {
			w.publish(messages.Message{ID: messages.ID(id, "x", "y"), Source: "shop:", Time: w.clock.Now(),
				Event: messages.PaymentRequested{OrderID: id, UserID: "u", Amount: usd(1000)}})
		}
	case 5:
		_, _ = w.CancelOrder(w.t.Context(), id)
		w.publish(w.took()...)
	case 6:
		if w.IntN(8) == 0 {
			w.clock.pass(paymentTimeout)
			_, err := w.ExpirePayments(w.t.Context())
			require.NoError(w.t, err)
			w.publish(w.took()...)
		}
	case 7, 8:
		if len(w.requests) > 0 {
			i := w.IntN(len(w.requests))
			m := w.requests[i]
			w.requests = slices.Delete(w.requests, i, i+1)
			w.pay(m)
		}
	default:
		w.read()
	}
}

// read lets orders handle the next record, sometimes twice.
func (w *topics) read() {
	if len(w.inbox) > 0 {
		r := w.inbox[0]
		if w.IntN(8) > 0 {
			w.inbox = w.inbox[1:]
		}
		w.handle(r)
	}
}

// finish lets payments and orders handle all that is left.
func (w *topics) finish() {
	w.t.Helper()
	for len(w.requests)+len(w.inbox) > 0 {
		for _, m := range w.requests {
			w.pay(m)
		}
		w.requests = nil
		if len(w.inbox) > 0 {
			r := w.inbox[0]
			w.inbox = w.inbox[1:]
			w.handle(r)
		}
	}
}
