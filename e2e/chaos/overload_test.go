//go:build chaos

package chaos

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"time"

	"pasdetrois/bench/load"
	"pasdetrois/e2e/purchase"
	"pasdetrois/toolbox/client"
)

const (
	overload        = 5     // times the orders that the system takes
	crowd           = 2_000 // connections
	crowdTotal      = 4_99
	measureFor      = 5 * time.Second
	measureWith     = 64
	stallWindow     = 5                       // seconds
	stallPercent    = 10                      // of the peak, that each window must reach: no more are taken for long than reach their end
	mayHaveHappened = "may have taken effect" // the answer that leaves the outcome open
	crowdLeaves     = 2 * time.Second         // a customer that cannot ask for so long does not ask at all
)

// crowded asks for orders once each, and notes every answer.
type crowded struct {
	*customers
	name  string
	mu    sync.Mutex
	notes map[int]*note
	taken map[int64]int // by second
	open  int           // answers that leave open whether the order was taken
}

func (c *crowded) user(n int) string { return fmt.Sprintf("%s-%07d", c.name, n) }

func (c *crowded) body(n int) []byte {
	return fmt.Appendf(nil, `{"order_id":%q,"user_id":%q,"total":4.99}`, c.user(n), c.user(n))
}

func (c *crowded) answered(n, status int, body []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := &note{Purchase: purchase.Purchase{User: c.user(n), TotalMinor: crowdTotal, Method: purchase.CardVisa}}
	switch {
	case err != nil:
	case status == http.StatusAccepted:
		told.tell(c.user(n))
		c.taken[time.Now().Unix()]++
	case status == http.StatusServiceUnavailable && bytes.Contains(body, []byte(mayHaveHappened)):
		c.open++
	default:
		told.Refused = status
	}
	c.notes[n] = told
}

// target places orders of a crowd at both replicas of orders.
func (f *field) target(name string) (*crowded, load.Target) {
	c := &crowded{customers: f.shop, name: name, notes: map[int]*note{}, taken: map[int64]int{}}
	t := load.Target{Body: c.body, Answered: c.answered, Patience: crowdLeaves}
	for _, r := range f.of(client.Orders) {
		t.Addresses = append(t.Addresses, r.public)
	}
	return c, t
}

// hand gives the notes to those of all customers.
func (c *crowded) hand(to *customers) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to.mu.Lock()
	defer to.mu.Unlock()
	for _, n := range c.notes {
		to.notes = append(to.notes, n)
	}
}

// crowds measures how many orders a second the system takes, and then asks for five times as many for size seconds.
func (f *field) crowds() error {
	calm, target := f.target("calm")
	began := time.Now()
	for n := 0; time.Since(began) < measureFor; n += 1000 {
		if _, err := load.Closed(f.ctx, target, measureWith, n, 1000); err != nil {
			return err
		}
	}
	calm.hand(f.shop)
	peak := float64(len(calm.notes)) / time.Since(began).Seconds()
	f.say("%.0f orders a second are taken from %d customers at a time", peak, measureWith)
	if err := f.recovered("measuring"); err != nil {
		return err
	}
	f.slow = 0
	crowd, target := f.target("crowd")
	asked := int(overload * peak * float64(f.size))
	f.say("%.0f orders a second are asked for during %d s", overload*peak, f.size)
	err := f.push(crowd, target, asked, overload*peak)
	crowd.hand(f.shop)
	if err == nil {
		err = crowd.steady(peak)
	}
	if err != nil {
		return err
	}
	return nil
}

func (f *field) push(c *crowded, target load.Target, asked int, rate float64) error {
	placed, err := load.Open(f.ctx, target, crowd, 0, asked, rate)
	l := load.Latencies(placed.Answers)
	sum := 0
	for _, n := range c.taken {
		sum += n
	}
	f.faults = f.size
	f.say("of %d orders %d were asked for and %d taken, %.0f a second, %d may have been; answers after %.0f ms (p50), %.0f ms (p99), from when they were due",
		asked, len(c.notes), sum, float64(sum)/placed.Last.Sub(placed.First).Seconds(), c.open, l.P50, l.P99)
	return err
}

// steady: the system goes on taking orders all the time.
func (c *crowded) steady(peak float64) error {
	first, last := int64(1)<<62, int64(0)
	for second := range c.taken {
		first, last = min(first, second), max(last, second)
	}
	for from := first; from+stallWindow <= last; from += stallWindow {
		sum := 0
		for second := from; second < from+stallWindow; second++ {
			sum += c.taken[second]
		}
		if rate := float64(sum) / stallWindow; rate < peak*stallPercent/100 {
			return fmt.Errorf("in seconds %d to %d of the crowd %.0f orders a second were taken; without it %.0f", from-first, from-first+stallWindow, rate, peak)
		}
	}
	return nil
}
