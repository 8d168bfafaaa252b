package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"time"

	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/client"
)

const (
	// Connections bounds the number of HTTP requests that place orders at a time. Further orders wait, and are late.
	Connections = 512
	// maxOpen bounds the number of open orders.
	maxOpen = 100_000
	// hurry is how long a run that is interrupted waits for the outcomes of its orders.
	hurry = 3 * time.Second
	// openTime is the default of Config.OpenTime.
	openTime = 30 * time.Second
)

// Shop is the part of the services that shoppers use. *client.Client is one. It must be safe for concurrent use.
type Shop interface {
	Inventory(ctx context.Context) ([]client.Stock, error)
	Place(ctx context.Context, order client.NewOrder, opts client.PlaceOptions) (client.Order, client.Answer, error)
	Cancel(ctx context.Context, id string) (client.Order, error)
	Order(ctx context.Context, id string, wait time.Duration) (client.Order, error)
	Notifications(ctx context.Context, orderID string) ([]client.Notification, error)
	RecentNotifications(ctx context.Context, cursor string) (client.NotificationPage, error)
}

// Config configures a run.
type Config struct {
	Traffic Traffic
	// Run begins the ids of orders and sessions.
	Run  string
	Shop Shop
	// Open connects to the topic of the web events; nil = they are not written.
	Open func(ctx context.Context) (Writer, error)
	// OpenTime bounds the first requests to the services and to Kafka; 0 = 30 s.
	OpenTime time.Duration
	// Settle is how long after the last order the run waits for outcomes.
	Settle time.Duration
	// Progress is called about once a second, from one goroutine.
	Progress func(Progress)
}

// run is the state of one Run. mu guards count and blind; the other fields are safe for concurrent use or never change.
type run struct {
	cfg     Config
	began   time.Time
	open    *openOrders
	flight  chan struct{} // one for each request
	placing sync.WaitGroup
	answers latencies
	mu      sync.Mutex
	count   counts
	blind   error // of the latest look at the outcomes
}

// Run lets the shoppers loose until the traffic's time is over or ctx ends. Then it waits for the outcomes of their
// orders and returns the summary. It fails only before it begins: a service or Kafka cannot be reached, or there is
// ErrNothingToBuy. A fault during the run is counted in the summary and is no error.
//
// When ctx ends, requests under way and outcomes get the time hurry. All goroutines have ended when Run returns.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	shop, writer, err := start(ctx, cfg)
	if err != nil {
		return Summary{}, err
	}
	r := &run{cfg: cfg, began: time.Now(), open: newOpenOrders(maxOpen), flight: make(chan struct{}, Connections), count: newCounts()}
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	watching, stopWatching := context.WithCancel(work)
	defer stopWatching()
	var helpers sync.WaitGroup
	helpers.Go(func() { r.watch(watching) })
	helpers.Go(func() { r.tell(watching) })

	r.traffic(ctx, work, shop, writer)
	traffic := time.Since(r.began)
	r.settle(ctx)
	stopWork() // ends requests under way
	r.placing.Wait()
	helpers.Wait()

	s := r.summary(traffic)
	s.Interrupted = ctx.Err() != nil
	if writer != nil {
		var lost error
		if s.EventsLost, lost = writer.Close(); lost != nil {
			s.EventsProblem = lost.Error()
		}
	}
	return s, nil
}

// start asks the services and Kafka for all that a run needs. It does so at the same time, so that their time-outs do
// not add up. It closes the writer after an error.
func start(ctx context.Context, cfg Config) (catalogue, Writer, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(cfg.OpenTime, openTime))
	defer cancel()
	var stocks []client.Stock
	var writer Writer
	errs := make([]error, 3)
	var wg sync.WaitGroup
	wg.Go(func() { stocks, errs[0] = cfg.Shop.Inventory(ctx) })
	wg.Go(func() { _, errs[1] = cfg.Shop.RecentNotifications(ctx, "") })
	if cfg.Open != nil {
		wg.Go(func() { writer, errs[2] = cfg.Open(ctx) })
	}
	wg.Wait()
	var shop catalogue
	for _, err := range errs {
		if err == nil {
			continue
		}
		if writer != nil {
			_, _ = writer.Close() // nothing was written
		}
		return shop, nil, err
	}
	shop, err := newCatalogue(stocks)
	if err != nil && writer != nil {
		_, _ = writer.Close()
	}
	return shop, writer, err
}

// traffic does each step of the plan at its moment. Events are written without waiting, and each order gets a
// goroutine. So a slow service delays no later step, until the bounds of place are reached.
func (r *run) traffic(ctx, work context.Context, shop catalogue, writer Writer) {
	p := newPlan(r.cfg.Traffic, shop)
	for s, more := p.next(); more; s, more = p.next() {
		due := r.began.Add(s.at)
		if !wait.Sleep(ctx, time.Until(due)) {
			return
		}
		if writer != nil {
			if body, err := s.body(r.cfg.Run, r.began); err == nil {
				writer.Write(s.session.user, body, due)
			}
			r.note(func(c *counts) { c.events[s.event().name]++ })
		}
		r.note(func(c *counts) {
			if s.number == 0 {
				c.sessions++
			}
		})
		if order := s.order(); order != nil && !r.place(ctx, work, s, due, *order) {
			return
		}
	}
}

// place starts placing an order. It waits only while too many orders are open or under way; this wait is counted, since
// the load is no longer open then. It returns false when ctx ends first.
func (r *run) place(ctx, work context.Context, s step, due time.Time, order purchase) bool {
	held := false
	for _, slots := range []chan struct{}{r.open.slots, r.flight} {
		select {
		case slots <- struct{}{}:
			continue
		default:
			held = true
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
	}
	id := fmt.Sprintf("%s-%d", r.cfg.Run, s.session.number)
	r.note(func(c *counts) {
		c.orders++
		if held {
			c.heldBack++
		}
	})
	r.open.add(id, due)
	r.placing.Go(func() {
		taken := r.post(work, client.NewOrder{OrderID: id, UserID: s.session.user, Items: order.items, PaymentMethod: order.method}, due,
			order.cancelAfter > 0)
		<-r.flight
		if taken && order.cancelAfter > 0 {
			r.callOff(ctx, work, id, order.cancelAfter)
		}
	})
	return true
}

// post places an order and reports whether the service accepted it. busy says that a cancellation follows, so the order
// stays busy. The other results:
//
//	connection refused, 4xx   the order does not exist and is dropped
//	any other error           the order may exist, and watch finds out
func (r *run) post(work context.Context, order client.NewOrder, due time.Time, busy bool) bool {
	_, answer, err := r.cfg.Shop.Place(work, order, client.PlaceOptions{})
	took := time.Since(due)
	status := client.StatusOf(err)
	switch {
	case err == nil:
		repeated := answer.Status == 200
		r.answers.add(took)
		r.note(func(c *counts) {
			c.taken++
			if repeated {
				c.repeated++
			}
		})
		r.open.update(order.OrderID, func(o *openOrder) { o.busy, o.repeated = busy, repeated })
		return true
	case errors.Is(err, syscall.ECONNREFUSED):
		r.refused("unreachable")
		r.open.drop(order.OrderID)
	case status >= 400 && status < 500:
		r.refused(strconv.Itoa(status))
		r.open.drop(order.OrderID)
	default: // it may have been taken
		name := "no answer"
		if status > 0 {
			name = strconv.Itoa(status)
		}
		r.refused(name)
		r.open.update(order.OrderID, func(o *openOrder) { o.busy, o.uncertain = false, true })
	}
	return false
}

// refused counts an order that was not accepted, by status or reason.
func (r *run) refused(why string) { r.note(func(c *counts) { c.refused[why]++ }) }

// callOff cancels an order after a while. If ctx ends first, the order is not cancelled, and its confirmation is its
// end.
func (r *run) callOff(ctx, work context.Context, id string, after time.Duration) {
	cancelling, outcome := false, ""
	if wait.Sleep(ctx, after) {
		switch _, err := r.cfg.Shop.Cancel(work, id); {
		case err == nil:
			cancelling, outcome = true, "taken"
		case client.StatusOf(err) == 409:
			outcome = "too late"
		default:
			outcome = "failed"
		}
		r.note(func(c *counts) { c.cancellations[outcome]++ })
	}
	r.open.update(id, func(o *openOrder) { o.busy, o.cancelling = false, cancelling })
}

// settle waits until no order is open, for Config.Settle at most. The end of ctx shortens the wait to hurry.
func (r *run) settle(ctx context.Context) {
	deadline := time.NewTimer(r.cfg.Settle)
	defer deadline.Stop()
	ticker := time.NewTicker(pollEvery / 5)
	defer ticker.Stop()
	interrupted := ctx.Done()
	for r.open.count() > 0 {
		select {
		case <-deadline.C:
			return
		case <-interrupted:
			interrupted = nil
			deadline.Reset(min(hurry, r.cfg.Settle))
		case <-ticker.C:
		}
	}
}
