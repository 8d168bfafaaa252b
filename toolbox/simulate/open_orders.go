package simulate

import (
	"maps"
	"slices"
	"sync"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// openOrder is an order whose outcome this run has not seen. openOrders.mu guards it.
type openOrder struct {
	due time.Time
	// busy: a request to place or cancel it is under way, or to come. Its emails do not show its end yet.
	busy bool
	// uncertain: its POST had no usable answer. The order may exist or not.
	uncertain bool
	// repeated: it existed before its POST, so its email says nothing about this run's latency.
	repeated bool
	// cancelling: the service accepted its cancellation, so a confirmation is not its end.
	cancelling bool
	kind       string    // of the latest email, "" = none was sent so far
	sent       time.Time // of the first email
}

// settled reports whether the email about the order's end was seen.
func (o *openOrder) settled() bool {
	return !o.busy && o.kind != "" && (!o.cancelling || o.kind != "confirmed")
}

// openOrders are all orders that are not settled. An order is settled when the email about its outcome was sent. It is
// safe for concurrent use.
//
// slots bounds the number of orders: the caller puts one element in before add, and the order's removal takes one out.
type openOrders struct {
	mu       sync.Mutex
	orders   map[string]*openOrder
	outcomes map[string]int64
	emails   latencies
	slots    chan struct{} // one element for each order; its capacity is the bound
}

func newOpenOrders(most int) *openOrders {
	return &openOrders{orders: map[string]*openOrder{}, outcomes: map[string]int64{}, slots: make(chan struct{}, most)}
}

// add adds an order before it is placed. The caller has taken a slot for it.
func (o *openOrders) add(id string, due time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.orders[id] = &openOrder{due: due, busy: true}
}

// drop removes an order that does not exist, without an outcome.
func (o *openOrders) drop(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.remove(id)
}

// remove removes an order, if it is there, and frees its slot. It is called with mu held.
func (o *openOrders) remove(id string) {
	if _, ok := o.orders[id]; ok {
		delete(o.orders, id)
		<-o.slots
	}
}

// update changes an order, which may settle it. An order that was removed meanwhile is left alone.
func (o *openOrders) update(id string, change func(*openOrder)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if order := o.orders[id]; order != nil {
		change(order)
		o.settle(id, order)
	}
}

// settle counts and removes the order if it is settled. The latency runs from due to the first email.
func (o *openOrders) settle(id string, order *openOrder) {
	if !order.settled() {
		return
	}
	if !order.repeated && !order.sent.IsZero() {
		o.emails.add(order.sent.Sub(order.due))
	}
	o.outcomes[order.kind]++
	o.remove(id)
}

// learn applies notifications, which services list newest first. It ignores those of other orders, of other kinds and
// those that are not sent yet. The same notification may come again: nothing changes then.
func (o *openOrders) learn(list []client.Notification) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range slices.Backward(list) {
		order := o.orders[n.OrderID]
		if order == nil || n.Status == "pending" {
			continue
		}
		if !messages.Settled(n.Kind) {
			continue
		}
		if order.kind == "" || n.Kind != "confirmed" { // only a confirmation can be followed by another kind
			order.kind = n.Kind
		}
		if !n.SentAt.IsZero() && (order.sent.IsZero() || n.SentAt.Before(order.sent)) {
			order.sent = n.SentAt
		}
		order.uncertain = false
		o.settle(n.OrderID, order)
	}
}

// waiting describes the orders about which the services must be asked.
type waiting struct {
	since      time.Time // when the oldest of them was due; zero = there is none
	recent     time.Time // when the oldest of those was due that are not stragglers; zero = there is none
	stragglers []straggler
}

// straggler is an order about which a request of its own asks: it is late, or uncertain.
type straggler struct {
	id        string
	uncertain bool
}

// look returns the orders to ask about. Stragglers are those that were due before the given time, and uncertain ones;
// most bounds their number. Busy orders are left out, because their own request brings an answer.
func (o *openOrders) look(before time.Time, most int) waiting {
	o.mu.Lock()
	defer o.mu.Unlock()
	var w waiting
	for id, order := range o.orders { // in random order, so that each has its turn
		if order.busy {
			continue // its own request will bring an answer
		}
		w.since = earlier(w.since, order.due)
		switch {
		case order.due.After(before) && !order.uncertain:
			w.recent = earlier(w.recent, order.due)
		case len(w.stragglers) < most:
			w.stragglers = append(w.stragglers, straggler{id, order.uncertain})
		}
	}
	return w
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func (o *openOrders) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.orders)
}

// examples returns some ids of open orders.
func (o *openOrders) examples(most int) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(maps.Keys(o.orders))[:min(most, len(o.orders))]
}
