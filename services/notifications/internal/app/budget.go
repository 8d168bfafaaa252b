package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/notifications/internal/domain"
)

// errTimeUp is why an attempt's context ends when its time is over.
var errTimeUp = fmt.Errorf("the mail server did not answer in time: %w", context.DeadlineExceeded)

// budget is the time that one attempt has: SendTimeout until the server has all of the email, AnswerTimeout from then on.
// A server that scans its mail may answer after minutes. Meanwhile the claim is renewed, so that no other process sends the
// same email. After a crash the claim is not renewed: another process takes over when the lease ends.
type budget struct {
	d      *Dispatcher
	n      domain.Notification
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	renew  sync.Once
}

func (d *Dispatcher) budget(sending context.Context, n domain.Notification) (context.Context, *budget) {
	b := &budget{d: d, n: n}
	b.ctx, b.cancel = context.WithCancelCause(sending)
	b.timer = time.AfterFunc(d.cfg.SendTimeout, func() { b.cancel(errTimeUp) })
	return b.ctx, b
}

// handedOver begins the wait for the answer.
func (b *budget) handedOver() {
	b.renew.Do(func() {
		b.timer.Reset(b.d.cfg.AnswerTimeout)
		go b.keepClaim()
	})
}

func (b *budget) keepClaim() {
	every := time.NewTicker(b.d.cfg.Lease / 3)
	defer every.Stop()
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-every.C:
		}
		renewedAt := time.Now()
		err := b.d.cfg.Store.Renew(b.ctx, b.n, b.d.cfg.Lease)
		if err == nil {
			b.d.extend(b.n.ID, renewedAt)
		} else if b.ctx.Err() == nil {
			b.d.cfg.Log.Warn("renewing the claim on an email failed while the mail server has it", "message_id", b.n.MessageID, "err", err)
		}
	}
}

// explain replaces the cancellation that the sender saw by its reason.
func (b *budget) explain(err error) error {
	if err != nil && fault.KindOf(err) != fault.Permanent && errors.Is(context.Cause(b.ctx), errTimeUp) {
		if errors.Is(err, domain.ErrOutcomeUnknown) {
			return fmt.Errorf("%w: %w", domain.ErrOutcomeUnknown, errTimeUp)
		}
		return errTimeUp
	}
	return err
}

func (b *budget) end() {
	b.timer.Stop()
	b.cancel(nil)
}
