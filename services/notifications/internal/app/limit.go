package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pasdetrois/services/notifications/internal/domain"
)

// Limit bounds how many emails one mailbox gets within an hour, over all replicas. store.Limit is the one over Postgres.
type Limit interface {
	// Take reserves the earliest time at which another email may go to address, and reports whether that is now. It
	// returns ErrTooMany when so many emails wait for the mailbox that the time would be a day away, but not to an email
	// that comes again, because it had a time already.
	Take(ctx context.Context, address string, again bool) (slot time.Time, now bool, err error)
	// GiveBack frees the time of an email that will not reach the mailbox. Emails that wait keep their own times.
	GiveBack(ctx context.Context, address string, slot time.Time) error
	// Prune forgets the mailboxes that were not written to for an hour.
	Prune(ctx context.Context) error
}

// ErrTooMany means that more emails wait for one mailbox than it may get within a day.
var ErrTooMany = errors.New("more emails wait for this address than it may get within a day")

// reasonTooMany is the reason of a notification that fails with ErrTooMany.
const reasonTooMany = "too_many_emails"

// limited begins the reason of a notification that waits for its time.
const limited = "limited: "

// pruneEvery is how often mailboxes are pruned, beside polling.
const pruneEvery = time.Minute

// admit checks whether n's mailbox has room. It returns the time that n takes there, zero without a limit, and true when n
// may be sent now; else the outcome of waiting. A notification that waited for its time has room, and so has one that is
// retried within an hour of its time.
func (d *Dispatcher) admit(ctx context.Context, n domain.Notification) (time.Time, Outcome, bool) {
	if d.cfg.Limit == nil || !n.SlotAt.IsZero() {
		return n.SlotAt, Outcome{}, true
	}
	o := Outcome{ID: n.ID, Claim: n.Claim, Status: domain.Pending, Waits: true}
	slot, now, err := d.cfg.Limit.Take(ctx, n.To, n.Attempts > 0 || strings.HasPrefix(n.Reason, limited))
	switch {
	case errors.Is(err, ErrTooMany):
		err = fmt.Errorf("%s: %w", reasonTooMany, err)
		o.Status, o.FailedAt, o.Reason = domain.Failed, time.Now().Truncate(time.Microsecond), storable(err)
		d.cfg.Metrics.counted(emailFailed)
		d.cfg.Log.Warn("email failed: too many for its address", "order_id", n.OrderID, "message_id", n.MessageID, "status", o.Status, "err", err)
	case err != nil:
		o.Reason, o.Pause = storable(err), d.cfg.Poll
		d.cfg.Log.Warn("counting the emails to an address failed, retrying later", "order_id", n.OrderID, "message_id", n.MessageID, "err", err)
	case now:
		return slot, o, true
	default:
		o.Reason, o.Slot = fmt.Sprintf(limited+"the address had its share of emails for an hour; this one goes at %s", slot.Format(time.RFC3339)), slot
		d.cfg.Metrics.counted(emailLimited)
		d.cfg.Log.Info("email waits, because its address had its share for an hour", "order_id", n.OrderID, "message_id", n.MessageID, "status", o.Status)
	}
	return slot, o, false
}

// keepOrGiveBack keeps or frees the time of an email that the mail server did not take. It is kept for the next attempt, and
// freed when there is none. An email whose answer never came may have been delivered, so its time is used.
func (d *Dispatcher) keepOrGiveBack(ctx context.Context, n domain.Notification, slot time.Time, err error, o *Outcome) {
	if d.cfg.Limit == nil || err == nil || errors.Is(err, domain.ErrOutcomeUnknown) {
		return
	}
	if o.Status == domain.Pending {
		o.Slot = slot
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Lease-d.cfg.SendTimeout)
	defer cancel()
	if err := d.cfg.Limit.GiveBack(ctx, n.To, slot); err != nil {
		d.cfg.Log.Warn("an email that was not sent still counts for its address, for an hour", "message_id", n.MessageID, "err", err)
	}
}

// pruneLimit prunes every pruneEvery, and returns the time of the last pruning.
func (d *Dispatcher) pruneLimit(ctx context.Context, last time.Time) time.Time {
	if d.cfg.Limit == nil || time.Since(last) < pruneEvery {
		return last
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.SendTimeout)
	defer cancel()
	if err := d.cfg.Limit.Prune(ctx); err != nil {
		d.cfg.Log.Debug("pruning the mailboxes failed", "err", err)
	}
	return time.Now()
}
