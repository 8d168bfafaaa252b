package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/pkg/platform/wait"
	"pasdetrois/services/notifications/internal/domain"
)

// DispatcherConfig configures a Dispatcher. Only Store, Sender, Recorder, Metrics and Log are needed.
type DispatcherConfig struct {
	Store       Store
	Sender      Sender
	Recorder    *Recorder // publishes how emails ended
	Metrics     *Metrics
	Log         *slog.Logger
	Tracer      *tracing.Tracer
	Limit       Limit          // nil = a mailbox gets as many emails as there are
	Retries     domain.Retries // zero = from 1 s to 5 min, for 5 days
	Concurrency int            // emails being sent at once; 0 = 4
	SendTimeout time.Duration  // until the server has all of an email; 0 = 10 s
	// AnswerTimeout is how long the server may take to answer then; 0 = 10 min, as RFC 5321, 4.5.3.2.6, recommends.
	AnswerTimeout time.Duration
	// Lease is how long a claim holds, more than SendTimeout; 0 = SendTimeout + 5 s. It is also how long an email that a
	// killed process left behind waits for another one.
	Lease time.Duration
	Poll  time.Duration // between two polls for emails that are due; 0 = 1 s
	// Capacity is how many emails are held in memory at most; 0 = 1024. Others wait in the table.
	Capacity     int
	DrainTimeout time.Duration // how long sends in work may take at shutdown; 0 = 10 s
}

func (c DispatcherConfig) withDefaults() DispatcherConfig {
	if c.Retries == (domain.Retries{}) {
		c.Retries = domain.Retries{Backoff: domain.Backoff{First: time.Second, Max: 5 * time.Minute}, For: 5 * 24 * time.Hour}
	}
	c.AnswerTimeout = cmp.Or(c.AnswerTimeout, 10*time.Minute)
	c.Concurrency = cmp.Or(c.Concurrency, 4)
	c.SendTimeout = cmp.Or(c.SendTimeout, 10*time.Second)
	c.Lease = cmp.Or(c.Lease, c.SendTimeout+5*time.Second)
	c.Poll = cmp.Or(c.Poll, time.Second)
	c.Capacity = cmp.Or(c.Capacity, 1024)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 10*time.Second)
	return c
}

// Dispatcher sends the emails of stored notifications. See the package's documentation for the protocol.
type Dispatcher struct {
	cfg   DispatcherConfig
	seed  maphash.Seed
	lanes []chan int64 // ids, one lane for each sender; each has room for all that may be held
	done  chan Outcome

	table sync.Mutex // claiming and settling each change the table and then held: one at a time

	mu   sync.Mutex
	held map[int64]*claim // claims that this process queues, sends or settles, by id
}

// claim is a notification that this process may send.
type claim struct {
	domain.Notification
	until time.Time // a send must have begun by then
	busy  bool      // the send has begun
}

// NewDispatcher makes a dispatcher; Run runs it. It may be given emails before it runs.
func NewDispatcher(cfg DispatcherConfig) *Dispatcher {
	cfg = cfg.withDefaults()
	d := &Dispatcher{cfg: cfg, seed: maphash.MakeSeed(), held: make(map[int64]*claim),
		lanes: make([]chan int64, cfg.Concurrency), done: make(chan Outcome, cfg.Capacity)}
	for i := range d.lanes {
		d.lanes[i] = make(chan int64, cfg.Capacity)
	}
	return d
}

// Lease returns how long a claim for this dispatcher must hold.
func (d *Dispatcher) Lease() time.Duration { return d.cfg.Lease }

// Enqueue hands over notifications that were claimed for Lease, at claimedAt or later. It never blocks: a notification that
// finds no room is sent from the table when its lease has ended.
func (d *Dispatcher) Enqueue(claimedAt time.Time, claimed []domain.Notification) {
	until := claimedAt.Add(d.cfg.Lease - d.cfg.SendTimeout)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range claimed {
		if c, ok := d.held[n.ID]; ok {
			if !c.busy { // it waited here until its lease ended, and is claimed again
				c.Notification, c.until = n, until
			}
			continue
		}
		if len(d.held) >= d.cfg.Capacity {
			return
		}
		d.held[n.ID] = &claim{Notification: n, until: until}
		d.lane(n) <- n.ID
	}
}

// lane keeps the emails of one order, or one user, in order: they pass through one sender.
func (d *Dispatcher) lane(n domain.Notification) chan int64 {
	by := n.OrderID
	if by == "" {
		by = n.UserID
	}
	return d.lanes[maphash.String(d.seed, by)%uint64(len(d.lanes))]
}

// begin returns the notification to send, or false when too little is left of its lease: another process might claim it
// before it is sent.
func (d *Dispatcher) begin(id int64) (domain.Notification, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.held[id]
	if time.Now().After(c.until) {
		delete(d.held, id)
		return domain.Notification{}, false
	}
	c.busy = true
	return c.Notification, true
}

// extend notes that the claim on a notification was renewed, at renewedAt or later.
func (d *Dispatcher) extend(id int64, renewedAt time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.held[id]; c != nil {
		c.until = renewedAt.Add(d.cfg.Lease - d.cfg.SendTimeout)
	}
}

func (d *Dispatcher) forget(outcomes []Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range outcomes {
		delete(d.held, o.ID)
	}
}

func (d *Dispatcher) room() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cfg.Capacity - len(d.held)
}

// Run sends until ctx ends. Then it finishes the sends that have begun, settles them and releases its other claims, all
// within DrainTimeout, and returns nil. It waits for a database that is down.
func (d *Dispatcher) Run(ctx context.Context) error {
	// Sends that have begun are finished. One that takes too long is cut off early enough to settle it.
	sending, stopSending := outlast(ctx, d.cfg.DrainTimeout*3/4)
	defer stopSending()
	writing, stopWriting := outlast(ctx, d.cfg.DrainTimeout)
	defer stopWriting()

	var senders, rest sync.WaitGroup
	rest.Go(func() { d.poll(ctx) })
	rest.Go(func() { d.settle(ctx, writing) })
	for _, lane := range d.lanes {
		senders.Go(func() { d.send(ctx, sending, lane) })
	}
	senders.Wait()
	close(d.done)
	rest.Wait()
	d.release(writing)
	return nil
}

// outlast returns a context that ends extra after ctx.
func outlast(ctx context.Context, extra time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		wait.Sleep(longer, extra)
		cancel()
	})
	return longer, func() {
		stop()
		cancel()
	}
}

// send sends the emails of one lane until stop ends.
func (d *Dispatcher) send(stop, sending context.Context, lane <-chan int64) {
	for stop.Err() == nil {
		select {
		case <-stop.Done():
		case id := <-lane:
			if n, ok := d.begin(id); ok {
				d.done <- d.attempt(sending, n)
			}
		}
	}
}

// attempt sends one email and returns the outcome.
func (d *Dispatcher) attempt(sending context.Context, n domain.Notification) Outcome {
	began := time.Now()
	ctx, budget := d.budget(sending, n)
	defer budget.end()
	slot, waits, ok := d.admit(ctx, n)
	if !ok {
		return waits
	}
	var span *tracing.Span
	if d.cfg.Tracer.On() {
		ctx, span = d.cfg.Tracer.Begin(ctx, trace.SpanKindClient, "send email", n.TraceParent,
			tracing.MessageKey.String(n.MessageID), tracing.OrderKey.String(n.OrderID), tracing.KindKey.String(n.Kind),
			tracing.AttemptKey.Int(n.Attempts+1))
	}
	err := budget.explain(d.handOver(ctx, n.Email(), budget.handedOver))
	span.End(err)
	now := time.Now()
	o := outcome(n, err, now, d.cfg.Retries, rand.Float64())
	d.keepOrGiveBack(sending, n, slot, err, &o)
	label := emailSent
	switch o.Status {
	case domain.Sent:
		d.cfg.Metrics.sent(n, now)
	case domain.Failed:
		label = emailFailed
		d.cfg.Log.Error("email refused for good", "order_id", n.OrderID, "message_id", n.MessageID, "attempt", n.Attempts+1,
			"status", o.Status, "err", err)
	default:
		label = emailRetried
		if errors.Is(err, context.Canceled) && !errors.Is(err, domain.ErrOutcomeUnknown) {
			o.Pause = 0 // cut off at shutdown: due at once
		}
		d.cfg.Log.Warn("email not sent, retrying later", "order_id", n.OrderID, "message_id", n.MessageID,
			"attempt", n.Attempts+1, "status", o.Status, "err", err)
	}
	d.cfg.Metrics.attempted(label, now.Sub(began))
	return o
}

// handOver turns a sender's panic into an error: one email must not stop all others.
func (d *Dispatcher) handOver(ctx context.Context, e domain.Email, handedOver func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the sender panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return d.cfg.Sender.Send(ctx, e, handedOver)
}
