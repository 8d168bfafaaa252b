package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/feed"
)

// story is what the topics tell of one order.
type story struct {
	told     told
	captured int64 // minor units of the latest capture
	outcome  uint64
}

// told is the set of what was said.
type told uint16

const (
	placed told = 1 << iota
	rejected
	requested
	captured
	failed
	refundAsked
	refunded
	saidConfirmed
	saidRejected
	saidFailed
	saidCancelled
	wasAside // a message of it was a dead letter
	endConfirmed
	endCancelled
	endFailed
)

// position is where a record stands.
type position struct {
	topic     string
	partition int32
	offset    int64
}

// readStories reads the four topics from their beginning to where they end now.
func (a *audit) readStories(ctx context.Context, apart *aside) (*stories, error) {
	cfg := *a.cfg.Topics
	cfg.Start, cfg.Follow, cfg.Topics = feed.Start{Beginning: true}, false, nil
	for _, t := range messages.Topics() {
		cfg.Topics = append(cfg.Topics, t.Name)
	}
	cfg.PassOver = a.gaps.pass
	f, err := feed.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a.gaps.begin(f)
	all := newStories()
	for {
		records, err := f.Poll(ctx)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		a.gaps.note(records)
		for _, t := range hear(records, apart) {
			all.tell(t)
			if a.messages++; a.messages%messagesEvery == 0 {
				a.cfg.Progress(a.messages, 0)
			}
		}
	}
}

// hear reads records on all cores, and returns what they tell in their order.
func hear(records []*kgo.Record, apart *aside) []telling {
	heard := make([]telling, len(records))
	share := max(1, (len(records)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var listeners sync.WaitGroup
	for from := 0; from < len(records); from += share {
		listeners.Go(func() {
			for i := from; i < min(from+share, len(records)); i++ {
				r := records[i]
				heard[i] = listen(r)
				if apart.has(r) {
					heard[i].is |= wasAside
				}
			}
		})
	}
	listeners.Wait()
	return heard
}

// telling is what one record tells of an order.
type telling struct {
	id       string // "" = nothing
	is       told
	captured int64 // minor units, when it is of a capture
	outcome  uint64
	at       time.Time // of an outcome
}

// listen reads one record. What is no message of the contract tells nothing: the services park it.
func listen(r *kgo.Record) telling {
	m, err := feed.Message(r)
	if err != nil {
		return telling{}
	}
	t := telling{id: m.Event.Key()}
	if end, ok := outcomeOf(m.Event); ok {
		t.is, t.outcome, t.at = toldBy(end.event), end.sum(), m.Time
		return t
	}
	switch e := m.Event.(type) {
	case messages.OrderPlaced:
		t.is = placed
	case messages.OrderRejected:
		t.is = rejected
	case messages.PaymentRequested:
		t.is = requested
	case messages.PaymentCaptured:
		t.is, t.captured = captured, e.Amount.Minor
	case messages.PaymentFailed:
		t.is = failed
	case messages.RefundRequested:
		t.is = refundAsked
	case messages.PaymentRefunded:
		t.is = refunded
	case messages.NotificationRequested:
		switch {
		case e.Kind == messages.KindConfirmed:
			t.is = saidConfirmed
		case e.Kind == messages.KindRejected:
			t.is = saidRejected
		case e.Kind == messages.KindFailed:
			t.is = saidFailed
		case e.Kind == messages.KindCancelled:
			t.is = saidCancelled
		}
	}
	return t
}

// tell adds what a record tells of an order.
func (s *stories) tell(t telling) {
	if t.id == "" {
		return
	}
	st, _ := s.of(t.id)
	if t.is&(endConfirmed|endCancelled|endFailed) != 0 {
		s.outcomeSeen(&st, t)
	}
	st.told |= t.is
	if t.is&captured != 0 {
		st.captured = t.captured
	}
	s.keep(t.id, st)
}

// status returns the status that the story leads to. The four ends are told by a notification, which is published with
// the decision; before that, what was asked and answered tells how far the order has come.
func (s story) status() string {
	has := func(t told) bool { return s.told&t != 0 }
	switch {
	case has(saidCancelled):
		return "cancelled"
	case has(saidFailed):
		return "failed"
	case has(saidRejected) && has(rejected):
		return "rejected"
	case has(refundAsked):
		return "cancelling"
	case has(saidConfirmed) && has(captured):
		return "confirmed"
	case has(requested):
		return "awaiting_payment"
	case has(placed):
		return "pending"
	default:
		return "unknown"
	}
}

// told compares an order with its story.
func (a *audit) told(f file) {
	a.checks.topics.look()
	s, known := a.stories.of(f.id)
	a.stories.forget(f.id)
	o := f.order
	wrong := ""
	switch {
	case !known:
		wrong = fmt.Sprintf("%s is %s, and the topics do not know it", o.id, o.status)
	case s.told&placed == 0:
		wrong = fmt.Sprintf("%s is %s, and was never placed on the topics", o.id, o.status)
	case s.status() != o.status:
		wrong = fmt.Sprintf("%s is %s, the topics say %s", o.id, o.status, s.status())
	case o.status == "confirmed" && s.captured != o.total:
		wrong = fmt.Sprintf("%s is over %s, the topics say %s were captured", o.id, amount(o.total, o.currency), amount(s.captured, o.currency))
	default:
		wrong = a.stories.wrongOutcome(o, s)
	}
	switch {
	case wrong == "":
	case a.gaps.explains(o, s):
		a.checks.topics.Unjudged++
	default:
		a.checks.topics.offend(wrong)
	}
}

// strangersInTopics names orders that are on the topics and nowhere else, unless their messages were dead letters.
func (a *audit) strangersInTopics() {
	for id, s := range a.stories.all() {
		if s.told&(placed|captured|requested) != 0 && s.told&wasAside == 0 {
			a.checks.topics.offend(fmt.Sprintf("%s is %s on the topics, and there is no such order", id, s.status()))
		}
	}
}
