package audit

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/cores"
	"pasdetrois/toolbox/aside"
	"pasdetrois/toolbox/feed"
)

// story is what the topics say about one order: a set of bits, the latest captured amount, and the sum of its outcome.
// Records of different topics arrive in no fixed order, so a bit is only ever set. Redelivered and copied messages
// change nothing.
type story struct {
	told     told
	mail     uint32 // hash of the first email that was sent: kind and time
	captured int64  // minor units of the latest capture
	outcome  uint64
}

// told is a set of facts. It has one bit for each event, and for each kind of notification, that an order may have. Some more
// bits are about the order's messages.
type told uint32

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
	afterOutcome // its first order_placed came after an outcome on its partition
	recent       // a message of it is newer than the changes that are judged
	mailedTwice  // one of its emails was sent at two times

	// One bit for each kind of notification that the services send: its email was sent.
	mailed
	_
	_
	_
	_
	// One bit for each kind that an order's end has: a notification_sent is due for it.
	mailDue
	_
	_
	_

	saidAny = saidConfirmed | saidRejected | saidFailed | saidCancelled
	anyEnd  = endConfirmed | endCancelled | endFailed
)

// position is the topic (without prefix), partition and offset of a record.
type position struct {
	topic     string
	partition int32
	offset    int64
}

// openTopics fixes the ends up to which readStories reads: those that the four topics have now.
func (a *audit) openTopics(ctx context.Context) (*feed.Feed, error) {
	cfg := *a.cfg.Topics
	cfg.Start, cfg.Follow, cfg.Topics = feed.Start{Beginning: true}, false, nil
	for _, t := range messages.Topics() {
		cfg.Topics = append(cfg.Topics, t.Name)
	}
	cfg.PassOver = a.gaps.pass
	return feed.Open(ctx, cfg)
}

// readStories reads the topics from their beginning. The end of ctx stops it, and so does an error of Kafka.
func (a *audit) readStories(ctx context.Context, f *feed.Feed, apart *aside.Records) (*stories, error) {
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
		for _, t := range a.hear(records, apart) {
			all.tell(t)
			if a.messages++; a.messages%messagesEvery == 0 {
				a.cfg.Progress(a.messages, 0)
			}
		}
	}
}

// hear decodes records on all cores, because decoding takes most of the time. The result has the records' order: a
// later record of an order must be applied after an earlier one. The goroutines only read apart and write different
// elements.
func (a *audit) hear(records []*kgo.Record, apart *aside.Records) []telling {
	heard := make([]telling, len(records))
	cores.Each(len(records), func(i int) {
		r := records[i]
		heard[i] = listen(r, a.cfg.Topics)
		if apart.Has(r) {
			heard[i].is |= wasAside
		}
		if r.Timestamp.After(a.before) {
			heard[i].is |= recent
		}
	})
	return heard
}

// telling is the content of one record about an order.
type telling struct {
	id       string // "" = nothing
	is       told
	captured int64 // minor units, when it is of a capture
	outcome  uint64
	mail     uint32 // of a notification_sent

	sku     string // of an inventory_changed
	product product

	orders    bool // its topic is orders
	partition int32
}

// listen decodes one record. A record that is no message of the contract says nothing about an order, since the
// services park it. The same holds for an event that is not listed here.
func listen(r *kgo.Record, cfg *feed.Config) telling {
	m, err := cfg.Message(r)
	if err != nil {
		return telling{}
	}
	t := telling{id: m.Event.Order(), orders: r.Topic == messages.TopicOrders, partition: r.Partition}
	if end, ok := outcomeOf(m.Event); ok {
		t.is, t.outcome = toldBy(end.event), end.sum()
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
	case messages.InventoryChanged:
		t.sku, t.product = e.SKU, product{e.Version, e.Stocked}
	case messages.NotificationSent:
		t.is, t.mail = mailed.of(e.Kind), mailSum(e.Kind, m.Time)
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

// tell adds one record to its order's story. The caller passes the records of a partition in their order.
func (s *stories) tell(t telling) {
	if t.sku != "" {
		s.productSeen(t.sku, t.product)
	}
	st, _ := s.of(t.id)
	s.mailSeen(&st, &t)
	if t.id == "" {
		return
	}
	if t.is&anyEnd != 0 {
		s.outcomeSeen(&st, t)
	}
	if t.is&placed != 0 && st.told&placed == 0 && t.orders && s.begun[t.partition] {
		st.told |= afterOutcome
	}
	st.told |= t.is
	// A capture that was parked may be forged: it does not replace one that was read before.
	if t.is&captured != 0 && (t.is&wasAside == 0 || st.captured == 0) {
		st.captured = t.captured
	}
	s.keep(t.id, st)
}

// status returns the status that the story leads to. The first rule that matches decides, the latest stage first:
//
//	cancelled         notification cancelled
//	failed            notification failed
//	rejected          notification rejected and order_rejected
//	cancelling        refund_requested
//	confirmed         notification confirmed and payment_captured
//	awaiting_payment  payment_requested
//	pending           order_placed
//
// A settled order has the notification of its status, because one transaction writes both the decision and that
// message.
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

// told compares an order with its story, and removes the story. A difference that a gap explains is counted as
// unjudged.
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
		if wrong = wrongOutcome(o, s); wrong == "" {
			wrong = a.wrongEmail(f, s)
		}
	}
	switch {
	case wrong == "":
	case a.gaps.explains(o, s):
		a.checks.topics.Unjudged++
	default:
		a.checks.topics.offend(wrong)
	}
}

// strangersInTopics reports the stories that no row took. Such an order is on the topics and in no database. It is
// allowed when one of its messages is a dead letter, since no service handled that message then, or so recent that orders may
// still read it, and when retention removed the order. Without topics there are no stories.
func (a *audit) strangersInTopics() {
	for id, s := range a.stories.all() {
		switch {
		case s.told&(wasAside|recent) != 0, a.removed.has(id):
		case s.told&(placed|captured|requested) != 0:
			a.checks.topics.offend(fmt.Sprintf("%s is %s on the topics, and there is no such order", id, s.status()))
		case s.told&anyEnd != 0:
			a.checks.topics.offend(fmt.Sprintf("%s has %s on the topics, and there is no such order", id, s.told.end()))
		}
	}
}
