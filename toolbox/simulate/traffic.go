package simulate

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"
)

// Traffic decides, together with the catalogue, all that happens in a run. Shares are from 0 to 1.
type Traffic struct {
	Seed  uint64
	Users int
	// Rate is the average number of orders per second. Duration is the length of the run: no session ends after it.
	Rate     float64
	Duration time.Duration
	// Day is how long a simulated day takes, from midnight; 0 = traffic is the same at all hours.
	Day time.Duration
	// Buy is the share of sessions that end in a checkout.
	Buy float64
	// Declined, OverLimit and Cancelled are shares of orders: paid with a card that is declined, costing more than
	// FraudLimit (in major units of the currency), called off within seconds.
	Declined, OverLimit, Cancelled float64
	FraudLimit                     int64
}

// The day's curve: traffic at an hour is its average times 1 - swing*cos. It is lowest at four in the morning and
// highest at four in the afternoon.
const (
	swing    = 0.8
	quietest = 4.0 / 24
)

// busyness returns how much of the average traffic there is at a moment of the run. Over a whole day it averages 1.
func (t Traffic) busyness(at time.Duration) float64 {
	if t.Day <= 0 {
		return 1
	}
	return 1 - swing*math.Cos(2*math.Pi*(float64(at)/float64(t.Day)-quietest))
}

// step is one event that is due at a moment of the run; with a checkout it is also the order.
type step struct {
	at      time.Duration
	session *session
	number  int // in the session
}

func (s step) event() event { return s.session.events[s.number] }

// order returns the order of a checkout, else nil.
func (s step) order() *purchase {
	if s.number == len(s.session.events)-1 {
		return s.session.order
	}
	return nil
}

// plan returns the steps of all sessions in the order of time. It holds the sessions of the next seconds only: a
// session that ends more than maxSession after the next step also begins after it. One goroutine uses it.
type plan struct {
	traffic Traffic
	shop    catalogue
	random  *rand.Rand // of the moments; each session has its own
	nextEnd time.Duration
	number  uint64
	due     steps
}

func newPlan(t Traffic, shop catalogue) *plan {
	p := &plan{traffic: t, shop: shop, random: rand.New(rand.NewPCG(t.Seed, math.MaxUint64))}
	p.arrive()
	return p
}

// arrive moves to the moment at which the next session ends. The moments are a Poisson process at the day's highest
// rate. At quieter hours some of them are left out at random (thinning).
func (p *plan) arrive() {
	most := 1.0
	if p.traffic.Day > 0 {
		most += swing
	}
	sessions := p.traffic.Rate / p.traffic.Buy * most
	for {
		p.nextEnd += time.Duration(p.random.ExpFloat64() / sessions * float64(time.Second))
		if p.nextEnd >= p.traffic.Duration || p.random.Float64()*most < p.traffic.busyness(p.nextEnd) {
			return
		}
	}
}

// next returns the next step, and false after the last one.
func (p *plan) next() (step, bool) {
	for p.nextEnd < p.traffic.Duration && (len(p.due) == 0 || p.nextEnd-maxSession <= p.due[0].at) {
		s := p.traffic.session(p.number, p.nextEnd, p.shop)
		heap.Push(&p.due, step{at: s.events[0].at, session: s})
		p.number++
		p.arrive()
	}
	if len(p.due) == 0 {
		return step{}, false
	}
	now := p.due[0]
	if n := now.number + 1; n < len(now.session.events) {
		p.due[0] = step{at: now.session.events[n].at, session: now.session, number: n}
		heap.Fix(&p.due, 0)
	} else {
		heap.Pop(&p.due)
	}
	return now, true
}

// steps is a heap of each session's next step. Steps of the same moment are in the order of their sessions, so runs
// repeat exactly.
type steps []step

func (s steps) Len() int { return len(s) }
func (s steps) Less(i, j int) bool {
	return s[i].at < s[j].at || s[i].at == s[j].at && s[i].session.number < s[j].session.number
}
func (s steps) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *steps) Push(x any)   { *s = append(*s, x.(step)) }
func (s *steps) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}
