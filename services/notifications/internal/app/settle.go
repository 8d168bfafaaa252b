package app

import (
	"context"
	"strings"
	"time"
	"unicode"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/notifications/internal/domain"
)

// maxReason is how much of an error is kept with a notification, in bytes.
const maxReason = 500

// outcome decides what an attempt's error means for the notification.
func outcome(n domain.Notification, err error, now time.Time, backoff domain.Backoff, jitter float64) Outcome {
	o := Outcome{ID: n.ID, Claim: n.Claim}
	switch {
	case err == nil:
		o.Status, o.SentAt = domain.Sent, now
	case fault.KindOf(err) == fault.Permanent:
		o.Status, o.Reason = domain.Failed, storable(err)
	default:
		o.Status, o.Reason, o.Pause = domain.Pending, storable(err), backoff.After(n.Attempts+1, jitter)
	}
	return o
}

// storable returns the error's text as one line that Postgres takes: a mail server's answer can hold any bytes.
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

// settle writes outcomes down as they come, all that are there at once, until done is closed and empty. While the
// database is down it keeps trying: an email that is sent must not be sent again because nobody wrote it down.
func (d *Dispatcher) settle(writing context.Context) {
	for first := range d.done {
		outcomes := []Outcome{first}
		for more := true; more && len(outcomes) < d.cfg.Capacity; {
			select {
			case o, open := <-d.done:
				if more = open; open {
					outcomes = append(outcomes, o)
				}
			default:
				more = false
			}
		}
		d.write(writing, outcomes)
		d.forget(outcomes)
	}
}

func (d *Dispatcher) write(writing context.Context, outcomes []Outcome) {
	pause := domain.Backoff{First: 50 * time.Millisecond, Max: 2 * time.Second}
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithTimeout(writing, d.cfg.SendTimeout)
		err := d.cfg.Store.Settle(ctx, outcomes)
		cancel()
		if err == nil {
			return
		}
		d.cfg.Log.Warn("could not write down what was sent, trying again", "attempt", attempt, "err", err)
		if !sleep(writing, pause.After(attempt, 0)) {
			d.cfg.Log.Error("stopped before it was written down what was sent: it may be sent again, with the same Message-ID",
				"attempt", attempt, "err", err)
			return
		}
	}
}

// release gives up the claims on what was not begun.
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
		d.cfg.Log.Warn("could not give up claims: their emails wait until the lease ends", "err", err)
	}
}

// poll claims what is due until stop ends, again at once while there is more.
func (d *Dispatcher) poll(stop context.Context) {
	failed := false
	for {
		limit := min(d.room(), d.cfg.Capacity/4+1)
		if limit > 0 {
			claimedAt := time.Now()
			due, err := d.cfg.Store.Claim(stop, limit, d.cfg.Lease)
			switch {
			case stop.Err() != nil && err != nil:
				return
			case err != nil && !failed:
				d.cfg.Log.Warn("could not look for emails that are due", "err", err)
			case err == nil:
				d.Enqueue(claimedAt, due)
			}
			failed = err != nil
			if len(due) == limit && stop.Err() == nil {
				continue
			}
		}
		if !sleep(stop, d.cfg.Poll) {
			return
		}
	}
}

// sleep pauses for p and reports whether ctx let it.
func sleep(ctx context.Context, p time.Duration) bool {
	timer := time.NewTimer(p)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
