package simulate

import (
	"maps"
	"slices"
	"sync"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// openOrder is an order that is not settled, as far as we know.
type openOrder struct {
	due time.Time
	// busy: placing it or calling it off is under way, so that what its emails say is not the end.
	busy bool
	// uncertain: its POST was not answered as it should be. It may exist or not.
	uncertain bool
	// repeated: it existed before this run.
	repeated bool
	// cancelling: the service took its cancellation. A confirmation is not its end.
	cancelling bool
	kind       string    // of the latest email, "" = none was sent so far
	sent       time.Time // of the first email
}

func (o *openOrder) settled() bool {
	return !o.busy && o.kind != "" && (!o.cancelling || o.kind != "confirmed")
}

// openOrders are all orders that are not settled. An order is settled when the email about its outcome has gone out.
type openOrders struct {
	mu       sync.Mutex
	orders   map[string]*openOrder
	outcomes map[string]int64
	emails   latencies
	slots    chan struct{} // one for each order; gets full
}

func newOpenOrders(most int) *openOrders {
	return &openOrders{orders: map[string]*openOrder{}, outcomes: map[string]int64{}, slots: make(chan struct{}, most)}
}

// add takes an order in for which a slot was taken, before it is placed.
func (o *openOrders) add(id string, due time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.orders[id] = &openOrder{due: due, busy: true}
}

// drop forgets an order that does not exist.
func (o *openOrders) drop(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.remove(id)
}

func (o *openOrders) remove(id string) {
	if _, ok := o.orders[id]; ok {
		delete(o.orders, id)
		<-o.slots
	}
}

// update changes an order, which may settle it.
func (o *openOrders) update(id string, change func(*openOrder)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if order := o.orders[id]; order != nil {
		change(order)
		o.settle(id, order)
	}
}

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

// learn takes notice of notifications, newest first as services list them. Those of other orders, of other kinds and
// those not sent yet are ignored.
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
		if order.kind == "" || n.Kind != "confirmed" { // nothing follows on the others
			order.kind = n.Kind
		}
		if !n.SentAt.IsZero() && (order.sent.IsZero() || n.SentAt.Before(order.sent)) {
			order.sent = n.SentAt
		}
		order.uncertain = false
		o.settle(n.OrderID, order)
	}
}

// waiting says which orders are to be asked about.
type waiting struct {
	since      time.Time // when the oldest of them was due; zero = there is none
	recent     time.Time // when the oldest of those was due that are not stragglers; zero = there is none
	stragglers []straggler
}

type straggler struct {
	id        string
	uncertain bool
}

// look returns what to ask about at a moment: at most so many stragglers, which are orders that were due some time before.
func (o *openOrders) look(before time.Time, most int) waiting {
	o.mu.Lock()
	defer o.mu.Unlock()
	var w waiting
	for id, order := range o.orders { // in random order, so that each has its turn
		if order.busy {
			continue // what is under way answers by itself
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
