package app_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// walk is one order on a random way: orders decides with the domain's methods, payments answers as it does, and everything that
// is published is kept.
type walk struct {
	*rand.Rand
	t        *testing.T
	stock    domain.Stock
	order    *domain.Order
	now      time.Time
	policy   domain.Policy
	told     []messages.Message
	inbox    []messages.Message // published by payments, to handle; the first one maybe once more
	handled  map[string]bool    // ids of messages of payments that were handled
	refused  int
	payment  string // "", captured, failed, refunded, voided
	outside  bool
	requests []messages.Message // for payments, not handled yet
	rows     []domain.Order     // the row after each step, with its timeline
	upTo     []int              // how many messages were told at each of rows
	cut      map[string]int     // how many outcomes were folded before they were published, by the event that led to them
}

// TestFoldOfOutputs: whatever way an order takes, its messages tell where it is, and a row of any earlier moment is led there.
func TestFoldOfOutputs(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	ends, cut := map[domain.Status]int{}, map[string]int{}
	for n := range uint64(20_000) {
		w := &walk{cut: cut, handled: map[string]bool{}, Rand: rand.New(rand.NewPCG(seed, n)), t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			policy: domain.Policy{PaymentTimeout: paymentTimeout, RepublishAfter: republishAfter}}
		w.run()
		w.check()
		if t.Failed() {
			t.Fatalf("seed %d, walk %d", seed, n)
		}
		ends[w.order.Status]++
		if w.order.LatePayment {
			ends["late"]++
		}
	}
	t.Logf("seed %d: %v, outcomes that were not published: %v", seed, ends, cut)
	for _, event := range []string{messages.EventPaymentCaptured, messages.EventPaymentFailed, messages.EventPaymentRefunded, messages.EventRefundRequested} {
		require.NotZero(t, cut[event], event)
	}
	for _, s := range append(domain.Statuses(), "late") {
		require.NotZero(t, ends[s], s)
	}
}

func (w *walk) tick() time.Time {
	w.now = w.now.Add(time.Duration(1+w.IntN(1000)) * time.Millisecond)
	return w.now
}

func (w *walk) tell(ms ...messages.Message) {
	for _, m := range ms {
		if m.Source == "" && m.Event.EventName() != messages.EventOrderPlaced {
			m.Source = messages.ServicePayments
		}
		w.told = append(w.told, m)
		switch m.Event.(type) {
		case messages.PaymentRequested, messages.RefundRequested:
			w.requests = append(w.requests, m)
		}
	}
}

func (w *walk) run() {
	w.stock = domain.Stock{}
	p := domain.Placement{OrderID: "o", UserID: "u", TraceParent: messages.NewTraceParent()}
	if w.IntN(3) == 0 {
		p.PaymentMethod, p.Email = "pm", "a@example.com"
	}
	for i, sku := range []string{"a", "b", "c"}[:w.IntN(4)] {
		n := int64(w.IntN(6))
		w.stock[sku] = &domain.Product{SKU: sku, Price: usd(int64(100 + 7*i)), Available: n, Stocked: n}
		p.Lines = append(p.Lines, domain.Line{SKU: sku, Quantity: 1 + w.IntN(2)})
	}
	if len(p.Lines) == 0 {
		p.Total, p.HasTotal = usd(1000), true
	}
	http := w.IntN(2) == 0
	unheard := !http && w.IntN(8) == 0
	if unheard {
		p.Lines = append(p.Lines, domain.Line{SKU: "unheard of", Quantity: 1})
	}
	by := domain.TriggerHTTP
	if !http {
		by = messages.EventOrderPlaced
		w.tell(foreign(p, w.now))
		if w.IntN(4) == 0 {
			other := p
			other.UserID = "somebody else"
			w.tell(foreign(other, w.now.Add(time.Duration(w.IntN(2)*2-1)*time.Millisecond)))
			w.refused++
		}
	}
	w.tick()
	o, err := domain.Place(p, w.stock, by, w.policy, w.now)
	if errors.Is(err, domain.ErrUnknownSKU) {
		o, err = domain.PlaceUnpriced(p, by, w.policy, w.now)
	}
	require.NoError(w.t, err)
	w.order = &o
	switch outside := w.IntN(6) == 0 && !unheard; {
	case http:
		w.tell(app.Outputs(w.order)...)
		w.keep()
		if outside {
			w.paidOutside()
		}
	case outside: // the messages wait for the order, which is made and decided at one moment
		taken := w.now
		w.now = w.now.Add(-5 * time.Second)
		w.paidOutside()
		back := w.IntN(3) == 0
		if back {
			w.payment = "refunded"
			w.answer(messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: o.Total, PaymentID: "pay"})
		}
		w.now = taken
		if back {
			require.NoError(w.t, o.LoseID(w.now))
			w.tell(app.Outputs(w.order)...)
			w.keep()
		} else {
			w.handle(w.inbox[0])
		}
		w.inbox = nil
	default:
		w.reserve()
	}
	for range w.IntN(12) {
		w.step()
	}
}

// paidOutside is a payment that somebody else asks for.
func (w *walk) paidOutside() {
	w.outside, w.payment = true, "captured"
	w.answer(messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: w.order.Total, PaymentID: "pay"})
}

func foreign(p domain.Placement, at time.Time) messages.Message {
	e := messages.OrderPlaced{OrderID: p.OrderID, UserID: p.UserID, Total: p.Total, HasTotal: p.HasTotal, PaymentMethod: p.PaymentMethod, Email: p.Email}
	e.Total.Currency = "USD"
	for _, l := range p.Lines {
		e.Items = append(e.Items, messages.Item{SKU: l.SKU, Quantity: l.Quantity})
	}
	return messages.Message{ID: fmt.Sprint(p.UserID, at), Event: e, Time: at, TraceParent: p.TraceParent}
}

// keep keeps the row as it is now.
func (w *walk) keep() {
	row := *w.order
	row.Changes = slices.Clone(row.Changes)
	w.rows, w.upTo = append(w.rows, row), append(w.upTo, len(w.told))
}

func (w *walk) answer(e messages.Event) {
	m := messages.Message{Source: messages.ServicePayments, Event: e, Time: w.tick(), Outside: w.outside, ID: fmt.Sprint(len(w.told))}
	w.tell(m)
	w.inbox = append(w.inbox, m)
}

func (w *walk) reserve() {
	if w.order.Status == domain.Pending {
		require.NoError(w.t, w.order.Reserve(w.stock, w.policy, w.now))
		w.tell(app.Outputs(w.order)...)
		w.keep()
	}
}

func (w *walk) step() {
	o := w.order
	w.tick()
	switch w.IntN(9) {
	case 0:
		w.reserve()
	case 1, 2, 3:
		w.pay()
	case 4, 5, 6:
		if len(w.inbox) > 0 {
			w.handle(w.inbox[0])
			if w.IntN(4) > 0 {
				w.inbox = w.inbox[1:]
			}
		}
	case 7:
		if effect, _ := o.Cancel(w.policy, w.now); effect == domain.Moved {
			w.tell(app.Outputs(o)...)
			w.keep()
		}
	case 8:
		if o.Status == domain.AwaitingPayment {
			w.now = o.DueAt
			effect, err := o.Expire(w.policy, w.tick())
			require.NoError(w.t, err)
			require.Equal(w.t, domain.Moved, effect)
			w.tell(app.Outputs(o)...)
			w.keep()
		}
	}
}

// pay lets payments handle one request.
func (w *walk) pay() {
	if len(w.requests) == 0 {
		return
	}
	r := w.requests[0]
	w.requests = w.requests[1:]
	total := w.order.Total
	switch r.Event.(type) {
	case messages.PaymentRequested:
		switch {
		case w.payment == "" && w.IntN(3) == 0:
			w.payment = "failed"
			w.answer(messages.PaymentFailed{OrderID: "o", UserID: "u", Total: total, Reason: "card_declined"})
		case w.payment == "":
			w.payment = "captured"
			w.answer(messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: total, PaymentID: "pay"})
		}
	case messages.RefundRequested:
		switch w.payment {
		case "captured":
			w.payment = "refunded"
			w.answer(messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: total, PaymentID: "pay"})
		case "", "failed":
			w.payment = "voided"
			w.answer(messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: usd(0)})
		}
	}
}

// handle lets orders handle a message of payments.
func (w *walk) handle(m messages.Message) {
	o := w.order
	before, changes := o.Status, len(o.Changes)
	w.handled[m.ID] = true
	outputs, err := w.apply(o, m)
	if err != nil {
		require.ErrorIs(w.t, err, domain.ErrContradiction)
		return
	}
	if len(o.Changes) > changes && len(outputs) > 0 && before != domain.Pending {
		w.killedBeforePublishing(m, outputs)
	}
	w.tell(outputs...)
	w.keep()
}

// apply lets an order handle a message of payments, and returns the messages to publish.
func (w *walk) apply(o *domain.Order, m messages.Message) ([]messages.Message, error) {
	var effect domain.Effect
	var err error
	var amount messages.Money
	switch e := m.Event.(type) {
	case messages.PaymentCaptured:
		amount = e.Amount
		effect, err = o.Capture(e, w.stock, w.policy, w.now)
	case messages.PaymentFailed:
		effect, err = o.Fail(e, w.stock, w.now)
	case messages.PaymentRefunded:
		effect, err = o.Refund(e, w.stock, w.now)
	}
	switch effect {
	case domain.Moved, domain.Repeated:
		return app.Outputs(o), err
	case domain.MoneyBack:
		return []messages.Message{app.MoneyBack(o, amount)}, err
	}
	return nil, err
}

// story is what was told as a story has it, without messages of payments that were not handled.
func (w *walk) story(told []messages.Message) []messages.Message {
	return slices.DeleteFunc(storyOf(told), func(m messages.Message) bool { return m.Source == messages.ServicePayments && !w.handled[m.ID] })
}

func storyOf(told []messages.Message) []messages.Message {
	var list []messages.Message
	seen := map[string]bool{}
	for _, m := range told {
		if !seen[m.ID] {
			seen[m.ID] = true
			list = append(list, m)
		}
	}
	slices.SortStableFunc(list, func(a, b messages.Message) int { return a.Time.Compare(b.Time) })
	return list
}

func (w *walk) check() {
	for len(w.inbox) > 0 && w.IntN(4) > 0 { // most walks end with nothing unread
		w.tick()
		w.handle(w.inbox[0])
		w.inbox = w.inbox[1:]
	}
	story := w.story(w.told)
	f := domain.Fold(story, nil, w.policy)
	o := w.order
	if f.Unknown == "the price of each line is in no topic" && o.Reason == domain.ReasonOutOfStock {
		return // paid from outside and short: the order's end has the prices
	}
	require.Empty(w.t, f.Unknown)
	w.equal(*o, f.Order, o.Changes, f.Order.Changes)
	require.Equal(w.t, o.Status == domain.Pending, f.Open != "", f.Open)
	w.readRest()
	for i, row := range w.rows {
		f := domain.Fold(story, &row, w.policy)
		led, relation := f.Continue(row)
		require.Contains(w.t, []domain.Relation{domain.Equal, domain.Behind}, relation, "%v %v", row, f.Order)
		if relation == domain.Behind {
			w.equal(*o, led, o.Changes, append(slices.Clone(row.Changes), led.Changes...))
			status, version := led.Stored()
			require.Equal(w.t, row.Status, status)
			require.Equal(w.t, row.Version, version)
		}
		// What was published then, and the row of the end: it is ahead.
		f = domain.Fold(w.story(w.told[:w.upTo[i]]), o, w.policy)
		require.Empty(w.t, f.Unknown)
		_, relation = f.Continue(*o)
		require.Contains(w.t, []domain.Relation{domain.Equal, domain.Ahead}, relation, "%+v\n%+v\n%+v\n%+v", f.Order, *o, w.told[:w.upTo[i]], w.told)
	}
}

// equal compares what was told. A note says when a message of payments was handled, which no message tells.
func (w *walk) equal(was, is domain.Order, timeline, folded []domain.Change) {
	at := func(o *domain.Order, changes []domain.Change) (list []domain.Change) {
		o.Changes, o.DueAt, o.Nudges, o.UpdatedAt = nil, time.Time{}, 0, time.Time{}
		for _, c := range changes {
			if c.From == c.To {
				c.At = time.Time{}
			}
			list = append(list, c)
		}
		return list
	}
	timeline, folded = at(&was, timeline), at(&is, folded)
	if !assertEqual(w.t, was, is) || !assertEqual(w.t, timeline, folded) {
		for _, m := range w.told {
			w.t.Logf("%s %+v", m.Time.Format("05.000"), m.Event)
		}
		w.t.FailNow()
	}
}

func assertEqual(t *testing.T, a, b any) bool {
	if fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", b) {
		t.Errorf("\n%+v\n%+v", a, b)
		return false
	}
	return true
}
