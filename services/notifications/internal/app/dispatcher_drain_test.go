package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

// On drain the send in work is finished and written down; what was not begun is free for the next start at once,
// however long the lease.
func TestDrainFinishesWhatWasBegunAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	w := setup(t)
	began, release := make(chan struct{}), make(chan struct{})
	w.mail.when(func(context.Context, domain.Email) error {
		close(began)
		<-release
		return nil
	})
	r := w.replica(func(c *app.DispatcherConfig) { c.Concurrency, c.Lease, c.SendTimeout = 1, 2*time.Hour, time.Hour })
	stop := w.start(r)
	w.must(r, about("1001", messages.KindConfirmed))
	wait(t, began)
	w.must(r, about("1002", messages.KindConfirmed), about("1003", messages.KindConfirmed))
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	select {
	case <-stopped:
		t.Fatal("it did not wait for the send in work")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	wait(t, stopped)
	require.Equal(t, map[domain.Status]int{domain.Sent: 1, domain.Pending: 2}, w.statuses())

	w.mail.when(func(context.Context, domain.Email) error { return nil })
	w.start(w.replica())
	w.settled(map[domain.Status]int{domain.Sent: 3})
	w.mail.requireEachOnce(t, 3)
}

func TestDrainInterruptsASendThatTakesTooLong(t *testing.T) {
	t.Parallel()
	w := setup(t)
	began := make(chan struct{})
	w.mail.when(func(ctx context.Context, _ domain.Email) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	})
	r := w.replica(func(c *app.DispatcherConfig) {
		c.Lease, c.SendTimeout, c.DrainTimeout = 2*time.Hour, time.Hour, 2*time.Second
	})
	stop := w.start(r)
	w.must(r, about("1001", messages.KindConfirmed))
	wait(t, began)
	stop()
	require.Equal(t, map[domain.Status]int{domain.Pending: 1}, w.statuses())

	w.mail.when(func(context.Context, domain.Email) error { return nil })
	w.start(w.replica())
	w.settled(map[domain.Status]int{domain.Sent: 1})
	w.mail.requireEachOnce(t, 1)
}
