package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
	"pasdetrois/services/notifications/internal/domain"
)

// maxReason bounds the error text that is stored with a notification, in bytes.
const maxReason = 500

// outcome decides what an attempt's error means for the notification.
func outcome(n domain.Notification, err error, now time.Time, retries domain.Retries, jitter float64) Outcome {
	now = now.Truncate(time.Microsecond) // as the row has it: the event is the same when it is made of the row
	o := Outcome{ID: n.ID, Claim: n.Claim}
	switch {
	case err == nil:
		o.Status, o.SentAt = domain.Sent, now
	case fault.KindOf(err) == fault.Permanent:
		o.Status, o.FailedAt, o.Reason = domain.Failed, now, storable(fmt.Errorf("%s: %w", fault.Reason(err), err))
	case retries.Over(n, now):
		o.Status, o.FailedAt, o.Reason = domain.Failed, now, storable(fmt.Errorf("given up after %s: %w", retries.For, err))
	case errors.Is(err, domain.ErrOutcomeUnknown):
		o.Status, o.Reason, o.Pause = domain.Pending, storable(err), retries.AfterUnknown(n.Attempts+1, jitter)
	default:
		o.Status, o.Reason, o.Pause = domain.Pending, storable(err), retries.After(n.Attempts+1, jitter)
	}
	return o
}

// storable returns the error's text as one line that Postgres accepts: a mail server's answer may have any bytes.
func storable(err error) string {
	s := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "")
	}
	if s = strings.TrimSpace(s); s == "" {
		return "unknown"
	}
	return s
}

// gather is how long an outcome waits for others, to share one produce request and one statement. The email is already sent, so
// no customer waits. A crash in this time sends the email again, so the time is short.
const gather = 50 * time.Millisecond

// settle stores outcomes until done is closed and empty, those that come within gather together. While the database is down it
// retries: an outcome that is not stored means that the email is sent again.
func (d *Dispatcher) settle(stop, writing context.Context) {
	for first := range d.done {
		outcomes := []Outcome{first}
		together := time.NewTimer(gather)
		for more := true; more && len(outcomes) < d.cfg.Capacity; {
			select {
			case o, open := <-d.done:
				if more = open; open {
					outcomes = append(outcomes, o)
				}
			case <-together.C:
				more = false
			}
		}
		together.Stop()
		d.write(stop, writing, outcomes)
	}
}

// write publishes the events of outcomes and settles their rows.
func (d *Dispatcher) write(stop, writing context.Context, outcomes []Outcome) {
	d.record(stop, writing, outcomes)
	for attempt := 1; ; attempt++ {
		err := d.writeOnce(writing, outcomes)
		if err == nil {
			return
		}
		d.cfg.Log.Warn("storing the outcomes of emails failed, retrying", "attempt", attempt, "err", err)
		if !wait.Sleep(writing, wait.Backoff(attempt, 50*time.Millisecond, 2*time.Second)) {
			d.cfg.Log.Error("the outcomes of emails are not stored: the emails may be sent again, with the same Message-ID",
				"attempt", attempt, "err", err)
			return
		}
	}
}

// record publishes the events of the outcomes that end a notification, by one call. Outcomes that Kafka does not take in time are
// marked as unrecorded. The wait ends before the first claim does: afterwards another process could send the email again. It ends
// a sixteenth of DrainTimeout after stop does, because the rows must still be written.
func (d *Dispatcher) record(stop, writing context.Context, outcomes []Outcome) {
	events, deadline := d.events(outcomes)
	ctx, cancel := context.WithCancel(writing)
	defer cancel()
	draining, stopDraining := outlast(stop, d.cfg.DrainTimeout/16)
	defer stopDraining()
	defer context.AfterFunc(draining, cancel)()
	if d.cfg.Recorder.record(ctx, deadline, events) {
		return
	}
	for i := range outcomes {
		outcomes[i].Unrecorded = outcomes[i].Status != domain.Pending
	}
}

// events returns the events of the outcomes that end a notification, and how long Kafka may take: until the first of their claims
// ends, without a reserve in which the rows are settled.
func (d *Dispatcher) events(outcomes []Outcome) (events []messages.Message, deadline time.Time) {
	reserve := (d.cfg.Lease - d.cfg.SendTimeout) / 4
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range outcomes {
		c := d.held[o.ID]
		if o.Status == domain.Pending || c == nil {
			continue
		}
		n := c.Notification
		n.Status, n.Reason, n.SentAt, n.FailedAt = o.Status, o.Reason, o.SentAt, o.FailedAt
		if m, ended := n.OutcomeMessage(); ended {
			events = append(events, m)
			if ends := c.until.Add(d.cfg.SendTimeout - reserve); deadline.IsZero() || ends.Before(deadline) {
				deadline = ends
			}
		}
	}
	return events, deadline
}

// writeOnce settles and forgets as one step for the poller.
func (d *Dispatcher) writeOnce(writing context.Context, outcomes []Outcome) error {
	d.table.Lock()
	defer d.table.Unlock()
	ctx, cancel := context.WithTimeout(writing, d.cfg.SendTimeout)
	defer cancel()
	err := d.cfg.Store.Settle(ctx, outcomes)
	if err == nil {
		d.forget(outcomes)
	}
	return err
}

// claimDue claims due rows and enqueues them as one step for settling. Otherwise a row whose lease ended before it was settled
// could be claimed, then settled and forgotten, and then enqueued as one to be sent.
func (d *Dispatcher) claimDue(stop context.Context, limit int) (int, error) {
	d.table.Lock()
	defer d.table.Unlock()
	ctx, cancel := context.WithTimeout(stop, d.cfg.SendTimeout)
	defer cancel()
	claimedAt := time.Now()
	due, err := d.cfg.Store.Claim(ctx, limit, d.cfg.Lease)
	if err == nil {
		d.Enqueue(claimedAt, due)
	}
	return len(due), err
}

// release gives up the claims on emails that were not begun.
func (d *Dispatcher) release(writing context.Context) {
	d.mu.Lock()
	left := make([]domain.Notification, 0, len(d.held))
	for _, c := range d.held {
		left = append(left, c.Notification)
	}
	d.mu.Unlock()
	if len(left) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(writing, d.cfg.SendTimeout)
	defer cancel()
	if err := d.cfg.Store.Release(ctx, left); err != nil {
		d.cfg.Log.Warn("releasing claims failed: their emails wait until the lease ends", "err", err)
	}
}

// poll claims due rows until stop ends, again at once while there are more.
func (d *Dispatcher) poll(stop context.Context) {
	failed := false
	pruned := time.Now()
	for {
		began := time.Now()
		pruned = d.pruneLimit(stop, pruned)
		limit := min(d.room(), d.cfg.Capacity/4+1)
		if limit > 0 {
			due, err := d.claimDue(stop, limit)
			if stop.Err() != nil {
				return
			}
			if err != nil && !failed {
				d.cfg.Log.Warn("claiming due emails failed", "err", err)
			}
			failed = err != nil
			if due == limit {
				continue
			}
		}
		if !wait.Sleep(stop, pgdb.Pause(d.cfg.Poll, time.Since(began))) {
			return
		}
	}
}
