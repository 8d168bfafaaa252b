package simulate

import (
	"context"
	"maps"
	"time"
)

// maxExamples bounds the unsettled orders that a summary names. All of them are counted.
const maxExamples = 10

// counts are the counters of a run. run.mu guards them.
type counts struct {
	sessions, orders, taken, repeated, heldBack int64
	events, refused, cancellations              map[string]int64
}

func newCounts() counts {
	return counts{events: map[string]int64{}, refused: map[string]int64{}, cancellations: map[string]int64{}}
}

// note changes the counters. change must not block.
func (r *run) note(change func(*counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.count)
}

// Progress is the state of a run at a moment. Open counts orders that are not settled.
type Progress struct {
	Elapsed, Duration       time.Duration
	Sessions, Orders, Taken int64
	Refused, Open           int64
	Answer, Mail            Latency
}

// tell reports progress once a second until ctx ends.
func (r *run) tell(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.cfg.Progress(r.progress())
		case <-ctx.Done():
			return
		}
	}
}

func (r *run) progress() Progress {
	p := Progress{Elapsed: time.Since(r.began), Duration: r.cfg.Traffic.Duration, Answer: r.answers.summary(),
		Mail: r.open.emails.summary(), Open: int64(r.open.count())}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Sessions, p.Orders, p.Taken, p.Refused = r.count.sessions, r.count.orders, r.count.taken, sum(r.count.refused)
	return p
}

func sum(m map[string]int64) int64 {
	total := int64(0)
	for _, n := range m {
		total += n
	}
	return total
}

// Summary is the result of a run. The JSON names are part of the tool's output.
type Summary struct {
	Run         string  `json:"run"`
	Seed        uint64  `json:"seed"`
	Seconds     float64 `json:"seconds"` // of traffic
	Interrupted bool    `json:"interrupted"`

	Sessions      int64            `json:"sessions"`
	Events        map[string]int64 `json:"events"` // by name
	EventsLost    int64            `json:"events_lost"`
	EventsProblem string           `json:"events_problem,omitempty"`

	Orders        int64            `json:"orders"`        // that were due
	Taken         int64            `json:"taken"`         // answered with 202 or 200
	Repeated      int64            `json:"repeated"`      // of those, which existed already
	Refused       map[string]int64 `json:"refused"`       // by status, or "no answer", "unreachable"
	HeldBack      int64            `json:"held_back"`     // waited because too many were under way
	Cancellations map[string]int64 `json:"cancellations"` // taken, too late, failed
	Outcomes      map[string]int64 `json:"outcomes"`      // confirmed, rejected, failed, cancelled

	ToAnswer Latency `json:"post_to_answer"`
	ToEmail  Latency `json:"post_to_email"`

	Unsettled         int64    `json:"unsettled"`
	UnsettledExamples []string `json:"unsettled_examples,omitempty"`
	// Blind is the error of the last look at the outcomes; "" = they could be read. Unsettled orders may be settled
	// then.
	Blind string `json:"blind,omitempty"`
}

func (r *run) summary(traffic time.Duration) Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.count
	s := Summary{Run: r.cfg.Run, Seed: r.cfg.Traffic.Seed, Seconds: traffic.Seconds(), Sessions: c.sessions, Events: c.events,
		Orders: c.orders, Taken: c.taken, Repeated: c.repeated, Refused: c.refused, HeldBack: c.heldBack,
		Cancellations: c.cancellations, Outcomes: maps.Clone(r.open.outcomes), ToAnswer: r.answers.summary(), ToEmail: r.open.emails.summary(),
		Unsettled: int64(r.open.count()), UnsettledExamples: r.open.examples(maxExamples)}
	if r.blind != nil {
		s.Blind = r.blind.Error()
	}
	return s
}
