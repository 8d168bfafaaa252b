package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/notifications/internal/domain"
)

// Publisher publishes messages. bus.Producer is the one over Kafka.
type Publisher interface {
	Publish(ctx context.Context, msgs ...messages.Message) error
}

// Recorder publishes how notifications ended, so that the topics alone say which emails were sent.
//
//	Dispatcher: email ended --published before its row is settled--> settled, recorded
//	                |                                                      ^
//	                `--Kafka is away--> settled, not recorded --Sweep------'
//
// The event comes before the row, because a row without an event would be lost with the database, and its email would be sent
// again. When Kafka is away the row comes first, because an email without a row would be sent again after the next crash. An
// event may be published twice, with one id. Safe for concurrent use.
type Recorder struct {
	cfg RecorderConfig

	mu   sync.Mutex
	away error // of the latest publication; nil when it succeeded
}

// RecorderConfig configures a Recorder. All fields are needed, but Wait.
type RecorderConfig struct {
	Store     Store
	Publisher Publisher
	Log       *slog.Logger
	Wait      time.Duration // for Kafka, until rows are settled without their events; 0 = 2 s
}

const (
	recordWait  = 2 * time.Second
	sweepWait   = 5 * time.Second       // for Kafka, of one batch of events that are published later
	leastWait   = 50 * time.Millisecond // an earlier deadline says nothing about Kafka
	sweepBatch  = 500
	recordLease = 2 * sweepWait // of rows whose events are being published
)

// NewRecorder makes a recorder.
func NewRecorder(cfg RecorderConfig) *Recorder {
	if cfg.Wait == 0 {
		cfg.Wait = recordWait
	}
	return &Recorder{cfg: cfg}
}

// record publishes the events of outcomes, and reports whether Kafka has them. It waits until deadline, and at most cfg.Wait.
// While Kafka is away it returns false at once: Sweep finds out when Kafka is back.
func (r *Recorder) record(ctx context.Context, deadline time.Time, msgs []messages.Message) bool {
	if len(msgs) == 0 {
		return true
	}
	if r.lastError() != nil || time.Until(deadline) < leastWait {
		return false
	}
	if most := time.Now().Add(r.cfg.Wait); deadline.After(most) {
		deadline = most
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return r.publish(ctx, msgs) == nil
}

func (r *Recorder) publish(ctx context.Context, msgs []messages.Message) error {
	err := r.cfg.Publisher.Publish(ctx, msgs...)
	r.mu.Lock()
	was := r.away
	r.away = err
	r.mu.Unlock()
	switch {
	case err != nil && was == nil:
		r.cfg.Log.Warn("kafka does not take the outcomes of emails: their rows are settled, and their events are published later", "err", err)
	case err == nil && was != nil:
		r.cfg.Log.Info("kafka takes the outcomes of emails again")
	}
	return err
}

func (r *Recorder) lastError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.away
}

// Sweep publishes the events of some rows that were settled while Kafka was away, and returns how many. While Kafka is away it
// tries with one row, so that the others are due at once when Kafka is back.
func (r *Recorder) Sweep(ctx context.Context) (int, error) {
	limit := sweepBatch
	if r.lastError() != nil {
		limit = 1
	}
	rows, err := r.cfg.Store.Unrecorded(ctx, limit, recordLease)
	if err != nil {
		return 0, err
	}
	if len(rows) == 0 {
		return 0, r.allRecorded(ctx)
	}
	if err := r.publishLater(ctx, rows); err != nil {
		return 0, err
	}
	return len(rows), r.cfg.Store.Recorded(ctx, rows)
}

// allRecorded forgets that Kafka was away when no row waits for its event: nothing shows then whether Kafka is back, but the next
// outcome does. A row that another sweep has claimed waits, too.
func (r *Recorder) allRecorded(ctx context.Context) error {
	if r.lastError() == nil {
		return nil
	}
	left, err := r.cfg.Store.AnyUnrecorded(ctx)
	if err == nil && !left {
		r.mu.Lock()
		r.away = nil
		r.mu.Unlock()
	}
	return err
}

// publishLater publishes the events of rows. An event that can never be encoded must not keep the others back: its row counts as
// recorded, and a line says so.
func (r *Recorder) publishLater(ctx context.Context, rows []domain.Notification) error {
	msgs := make([]messages.Message, 0, len(rows))
	for _, n := range rows {
		m, ended := n.OutcomeMessage()
		if !ended {
			continue
		}
		if _, err := m.Record(); err != nil {
			r.cfg.Log.Error("the outcome of an email cannot be published: the topics do not have it", "order_id", n.OrderID,
				"message_id", n.MessageID, "err", err)
			continue
		}
		msgs = append(msgs, m)
	}
	if len(msgs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sweepWait)
	defer cancel()
	return r.publish(ctx, msgs)
}

// notRecorded is the remark of the readiness check while Kafka does not take the outcomes of emails.
type notRecorded struct{ err error }

func (n notRecorded) Error() string {
	return fmt.Sprintf("emails are sent, and their outcomes are published when kafka is back: %v", n.err)
}

// Passed makes the check pass: emails are sent all the same.
func (notRecorded) Passed() bool { return true }

// Check is the readiness check of the outcomes. It passes, with a remark while Kafka does not take them.
func (r *Recorder) Check(context.Context) error {
	if err := r.lastError(); err != nil {
		return notRecorded{err}
	}
	return nil
}
