package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/simulate"
	"pasdetrois/toolbox/windows"
)

const (
	// simulatedTime is the length of the traffic, and simulatedRate the orders per second.
	simulatedTime, simulatedRate = 2 * time.Second, 15
	// simulatedStock is more than the shoppers can buy in that time: running out would change the outcomes.
	simulatedStock = 1_000_000
	// placeAttempts is the limit of attempts for one order, and placeAgain the pause between two attempts.
	placeAttempts, placeAgain = 5, time.Second
)

// SimulatedTraffic runs simulated shoppers for a moment and counts their events in windows of time meanwhile.
// It expects the windows to contain every event and every cent.
func SimulatedTraffic() Scenario {
	return Scenario{Name: "simulated-traffic", Title: "shoppers browse and order: windows of time count every event", play: func(a *act) {
		for name, price := range map[string]string{"overture": "12.50", "swan song": "39.00", "curtain call": "120.00"} {
			a.product(name, price, simulatedStock)
		}
		// Shoppers buy from the whole catalogue. Restricted to these products, they leave other performances'
		// stock alone.
		shop := &ownShop{Shop: a.env.Client, suffix: a.suffix, totals: map[string]messages.Money{}}
		where := a.webEvents()
		// Counting begins before the traffic, so that no event is missed.
		count := a.countWindows(where)
		sent := a.simulate(where, shop)
		a.until("the windows should have every event", func(context.Context) error {
			if want, got := total(sent.Events), count.read.Load(); got < want {
				return fmt.Errorf("they have %d of %d", got, want)
			}
			return nil
		})
		count.end(a)
		expect(a, "what the windows counted", fmt.Sprint(sent.Events), fmt.Sprint(count.events))
		a.noteWindows(count)
		// The windows sum the checkouts from Kafka, and the shop the totals of its answers over HTTP. Both must
		// agree to the cent.
		checkouts, ordered := a.sum(count.checkouts), a.sum(slices.Collect(maps.Values(shop.totals)))
		expect(a, "the checkouts in the windows", ordered, checkouts)
		expect(a, "orders placed", sent.Orders, int64(len(shop.totals)))
		if len(shop.placed) > 0 {
			a.watch(shop.placed[0])
		}
		a.note("%d sessions, %d orders of together %s: %s", sent.Sessions, sent.Orders, ordered, listed(sent.Outcomes))
		a.note("from POST to email: p50 %.0f ms, p95 %.0f ms, at most %.0f ms", sent.ToEmail.P50, sent.ToEmail.P95, sent.ToEmail.Max)
	}}
}

// ownShop is the shop restricted to the products of one performance, so that other stock stays untouched. It
// remembers the orders that were accepted. Shoppers call it concurrently.
type ownShop struct {
	simulate.Shop
	suffix string
	mu     sync.Mutex
	placed []string
	totals map[string]messages.Money
}

// Inventory returns the products of this performance only; shoppers choose from these.
func (s *ownShop) Inventory(ctx context.Context) ([]client.Stock, error) {
	all, err := s.Shop.Inventory(ctx)
	return slices.DeleteFunc(all, func(p client.Stock) bool { return !strings.HasSuffix(p.SKU, s.suffix) }), err
}

// Place places an order, and repeats the request while the service is busy or does not answer. The order has an
// id of its own, so that a repeated request stays one order.
func (s *ownShop) Place(ctx context.Context, order client.NewOrder, opts client.PlaceOptions) (client.Order, client.Answer, error) {
	taken, answer, err := s.Shop.Place(ctx, order, opts)
	for attempt := 1; err != nil && attempt < placeAttempts && mayPass(client.StatusOf(err)); attempt++ {
		select {
		case <-ctx.Done():
			return taken, answer, ctx.Err()
		case <-time.After(placeAgain):
			taken, answer, err = s.Shop.Place(ctx, order, opts)
		}
	}
	if err != nil {
		return taken, answer, err
	}
	paid, err := messages.ParseMoney(taken.Total.String(), taken.Currency)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.placed, s.totals[taken.OrderID] = append(s.placed, taken.OrderID), paid
	return taken, answer, err
}

// mayPass reports whether the same request may succeed later. Status 0 means that no answer came.
func mayPass(status int) bool {
	return status == 0 || status == http.StatusTooManyRequests || status >= 500
}

// webEvents makes a topic for the events of this performance, which is deleted at the end. The prefix of the
// returned configuration is for this topic only.
func (a *act) webEvents() kafka.Config {
	where := a.env.Kafka
	where.TopicPrefix += a.suffix + "."
	a.openWire()
	if !a.ok() {
		return where
	}
	a.undo = append(a.undo, func(ctx context.Context) error {
		_, err := a.wire.admin.DeleteTopics(ctx, where.TopicPrefix+simulate.Topic)
		return err
	})
	_, err := kafka.CreateTopics(a.ctx, where, []kafka.TopicSpec{{Name: simulate.Topic, Partitions: 1, ReplicationFactor: 1}})
	a.try(err, "create topic %s", simulate.Topic)
	return where
}

// simulate runs the shoppers' traffic, and expects every order to be accepted and settled, and no event to be
// lost. The seed is fixed, so that each performance has the same sessions and carts.
func (a *act) simulate(where kafka.Config, shop simulate.Shop) simulate.Summary {
	if !a.ok() {
		return simulate.Summary{}
	}
	traffic := simulate.Traffic{Seed: 1, Users: 50, Rate: simulatedRate, Duration: simulatedTime, Buy: 0.3,
		Declined: 0.1, OverLimit: 0.03, Cancelled: 0.1, FraudLimit: 900}
	summary, err := simulate.Run(a.ctx, simulate.Config{Traffic: traffic, Run: "simulated-" + a.suffix, Shop: shop,
		Open: func(ctx context.Context) (simulate.Writer, error) {
			return simulate.OpenWriter(ctx, where, a.patience())
		},
		Settle: a.patience(), Progress: func(simulate.Progress) {}})
	a.try(err, "simulate traffic")
	if a.ok() && summary.Unsettled > 0 {
		a.fail("%d simulated orders are not settled, for example %v", summary.Unsettled, summary.UnsettledExamples)
	}
	if a.ok() && summary.Taken != summary.Orders {
		a.fail("%d of %d simulated orders were taken, the others: %v", summary.Taken, summary.Orders, summary.Refused)
	}
	expect(a, "orders with an outcome", summary.Orders, total(summary.Outcomes))
	expect(a, "lost events", int64(0), summary.EventsLost)
	return summary
}

// windowCount counts events in windows of a second on a goroutine of its own. Only read may be used while it
// runs; the caller may read events and checkouts after end.
type windowCount struct {
	read      atomic.Int64
	cancel    context.CancelFunc
	done      chan error
	windows   []windows.Window
	events    map[string]int64
	checkouts []messages.Money
}

// countWindows begins to count. It returns when the reader has its start positions, so that every later event
// is counted.
func (a *act) countWindows(where kafka.Config) *windowCount {
	c := &windowCount{events: map[string]int64{}, done: make(chan error, 1)}
	if !a.ok() {
		return c
	}
	ctx, cancel := context.WithCancel(a.ctx)
	c.cancel = cancel
	ready := make(chan struct{})
	cfg := windows.Config{Feed: feed.Config{Kafka: where, Topics: []string{simulate.Topic}, Follow: true, OpenTime: a.patience()},
		Size: time.Second, Every: 100 * time.Millisecond, Idle: time.Minute,
		Ready: func() { close(ready) },
		Show:  func(w windows.Window) { c.windows = append(c.windows, w) },
		Live:  func(s windows.Snapshot) { c.read.Store(s.Counters.Read) },
		Note:  func(string) {},
	}
	go func() {
		summary, err := windows.Run(ctx, cfg)
		c.windows = append(c.windows, summary.Open...)
		c.done <- err
	}()
	select {
	case <-ready:
	case err := <-c.done:
		// The error goes back into the channel, where end receives it.
		c.done <- err
		a.try(errors.Join(err, a.ctx.Err()), "count in windows")
	}
	return c
}

// end stops counting and adds the windows up. It does nothing when counting never began.
func (c *windowCount) end(a *act) {
	if c.cancel == nil {
		return
	}
	c.cancel()
	a.try(<-c.done, "count in windows")
	for _, w := range c.windows {
		for _, e := range w.Events {
			c.events[e.Name] += e.Count
			if e.Name == "checkout" {
				for _, sum := range e.Sums {
					c.checkouts = append(c.checkouts, a.money(sum.Amount, sum.Currency))
				}
			}
		}
	}
}

// noteWindows adds a line for each window to the output.
func (a *act) noteWindows(c *windowCount) {
	for _, w := range c.windows {
		events := map[string]int64{}
		for _, e := range w.Events {
			events[e.Name] = e.Count
		}
		a.note("%s to %s  %3d events: %s", w.Start.Format("15:04:05"), w.End.Format("15:04:05"), w.Count, listed(events))
	}
}

// sum adds amounts of one currency, exactly.
func (a *act) sum(amounts []messages.Money) messages.Money {
	var sum messages.Money
	for i, amount := range amounts {
		if i == 0 {
			sum = amount
			continue
		}
		var err error
		sum, err = sum.Add(amount)
		a.try(err, "add amounts")
	}
	return sum
}

func total(counted map[string]int64) int64 {
	var total int64
	for _, n := range counted {
		total += n
	}
	return total
}

// listed formats counts, the largest first and equal ones by name.
func listed(counted map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(counted), func(a, b string) int {
		if counted[a] != counted[b] {
			return int(counted[b] - counted[a])
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", counted[name], name)
	}
	return strings.Join(names, ", ")
}
