package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

// The process dies after the commit, before the email: its memory is gone, the row is not.
func TestCrashBetweenCommitAndSend(t *testing.T) {
	t.Parallel()
	w := setup(t)
	dead := w.replica(shortLease)
	w.must(dead, about("1001", messages.KindConfirmed), plain("m1", "hello")) // its dispatcher never runs
	require.Empty(t, w.mail.all())

	w.start(w.replica(shortLease))
	w.settled(map[domain.Status]int{domain.Sent: 2})
	w.mail.requireEachOnce(t, 2)
}

// The process dies after the mail server took the email, before that was written down. The email is sent again, as the
// same one.
func TestKilledBetweenSendAndMark(t *testing.T) {
	t.Parallel()
	w := setup(t)
	dying := w.replica(shortLease, func(c *app.DispatcherConfig) { c.DrainTimeout = time.Millisecond })
	tried := make(chan struct{}, 1000)
	dying.store.beforeSettle = func() error { tried <- struct{}{}; return errDown }
	stop := w.start(dying)
	w.must(dying, about("1001", messages.KindConfirmed))
	wait(t, tried)
	stop()
	require.Len(t, w.mail.all(), 1)
	require.Equal(t, map[domain.Status]int{domain.Pending: 1}, w.statuses())

	w.start(w.replica(shortLease))
	w.settled(map[domain.Status]int{domain.Sent: 1})
	sent := w.mail.all()
	require.Len(t, sent, 2)
	require.Equal(t, sent[0].MessageID, sent[1].MessageID)
	require.Equal(t, sent[0], sent[1])
}

func TestTwoDispatchersRacingSendEachEmailOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const emails = 400
	left := w.replica(func(c *app.DispatcherConfig) { c.Lease = 11 * time.Second })
	for i := range emails / 50 {
		in := batch()
		for j := range 50 {
			in = append(in, about(fmt.Sprint(i, "-", j), messages.KindConfirmed))
		}
		w.must(left, in...)
	}
	_, err := w.db.Exec(t.Context(), `UPDATE notifications SET next_attempt_at = now() - interval '1 second'`)
	require.NoError(t, err)
	for range 3 {
		w.start(w.replica(func(c *app.DispatcherConfig) { c.Capacity = 40 }))
	}
	w.settled(map[domain.Status]int{domain.Sent: emails})
	w.mail.requireEachOnce(t, emails)
}

// A claim that ran out while its email queued behind a slow one is somebody else's by now.
func TestClaimThatRanOutIsNotSent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	began, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	w.mail.when(func(_ context.Context, e domain.Email) error {
		if e.OrderID == "slow" && first.CompareAndSwap(false, true) {
			close(began)
			<-release
			return errDown
		}
		return nil
	})
	slow := w.replica(func(c *app.DispatcherConfig) {
		c.Concurrency, c.Poll, c.SendTimeout, c.Lease = 1, time.Hour, 100*time.Millisecond, 2*time.Second
	})
	w.start(slow)
	w.must(slow, about("slow", messages.KindConfirmed))
	wait(t, began)
	w.must(slow, about("queued", messages.KindConfirmed))

	w.start(w.replica(shortLease)) // takes over both when their leases end
	w.settled(map[domain.Status]int{domain.Sent: 2})
	close(release)
	w.must(slow, about("last", messages.KindConfirmed)) // passes through the one lane behind them
	w.settled(map[domain.Status]int{domain.Sent: 3})
	w.mail.requireEachOnce(t, 3)
	for _, n := range w.all() {
		require.Equal(t, 1, n.Attempts, "the late attempt changes nothing")
	}
}

// With less of the lease left than a send may take, the send could still be going on when somebody else begins.
func TestClaimTooShortForASendIsNotSent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica(func(c *app.DispatcherConfig) {
		c.Concurrency, c.Poll, c.SendTimeout, c.Lease = 1, time.Hour, time.Minute, 90*time.Second
	})
	w.start(r)
	kept, err := r.store.Add(t.Context(), []domain.Notification{
		domain.New("m1", sentAt, about("short", messages.KindConfirmed).Event),
		domain.New("m2", sentAt, about("long", messages.KindConfirmed).Event)}, 90*time.Second)
	require.NoError(t, err)
	now := time.Now()
	r.dispatcher.Enqueue(now.Add(-31*time.Second), []domain.Notification{kept[0].Notification})
	r.dispatcher.Enqueue(now, []domain.Notification{kept[1].Notification}) // passes through the one lane behind it
	w.settled(map[domain.Status]int{domain.Sent: 1, domain.Pending: 1})
	require.Equal(t, "long", w.mail.all()[0].OrderID)
}

func TestTransientErrorIsTriedAgainUntilItWorks(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var calls atomic.Int64
	w.mail.when(func(context.Context, domain.Email) error {
		if n := calls.Add(1); n <= 4 {
			return fmt.Errorf("451 try again (%d)\r\n\x00\xff", n)
		}
		return nil
	})
	r := w.replica()
	w.start(r)
	w.must(r, about("1001", messages.KindConfirmed))
	w.settled(map[domain.Status]int{domain.Sent: 1})
	n := w.all()[0]
	require.Equal(t, 5, n.Attempts)
	require.Empty(t, n.Reason)
	require.EqualValues(t, 4, r.counter(t, "emails_total", "retried"))
	require.EqualValues(t, 1, r.counter(t, "emails_total", "sent"))
}

func TestRefusedForGoodIsFailedWithTheReason(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mail.when(func(_ context.Context, e domain.Email) error {
		if e.OrderID == "1001" {
			return fault.New("smtp_refused", "550 no such user%s", strings.Repeat("é", 1000))
		}
		return nil
	})
	r := w.replica()
	w.start(r)
	w.must(r, about("1001", messages.KindConfirmed), about("1002", messages.KindConfirmed))
	w.settled(map[domain.Status]int{domain.Failed: 1, domain.Sent: 1})
	n := w.all()[0]
	require.Contains(t, n.Reason, "550 no such user")
	require.Equal(t, 1, n.Attempts)
	require.True(t, n.SentAt.IsZero())
	w.must(r, about("1001", messages.KindConfirmed))
	require.Equal(t, map[domain.Status]int{domain.Failed: 1, domain.Sent: 1}, w.statuses(), "a repetition does not revive it")
	require.EqualValues(t, 1, r.counter(t, "emails_total", "failed"))
}

func TestSendersPanicHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var calls atomic.Int64
	w.mail.when(func(_ context.Context, e domain.Email) error {
		if e.OrderID == "1001" && calls.Add(1) <= 2 {
			panic("nobody thought of this email")
		}
		return nil
	})
	r := w.replica(func(c *app.DispatcherConfig) { c.Concurrency = 1 })
	w.start(r)
	w.must(r, about("1001", messages.KindConfirmed), about("1002", messages.KindConfirmed))
	w.settled(map[domain.Status]int{domain.Sent: 2})
	w.mail.requireEachOnce(t, 2)
}

func TestEmailsOfOneOrderLeaveInOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mail.when(func(_ context.Context, e domain.Email) error {
		if e.Kind == messages.KindConfirmed { // the server is slow with what comes first
			<-time.After(20 * time.Millisecond)
		}
		return nil
	})
	r := w.replica()
	w.start(r)
	const orders = 12
	kinds := []string{messages.KindConfirmed, messages.KindFraudAlert, messages.KindCancelled}
	for i := range orders {
		in := batch()
		for _, kind := range kinds {
			in = append(in, about(fmt.Sprint(i), kind))
		}
		w.must(r, in...)
	}
	w.settled(map[domain.Status]int{domain.Sent: orders * len(kinds)})
	byOrder := make(map[string][]string)
	for _, e := range w.mail.all() {
		byOrder[e.OrderID] = append(byOrder[e.OrderID], e.Kind)
	}
	for order, have := range byOrder {
		require.Equal(t, kinds, have, order)
	}
}

func TestMoreThanFitsInMemoryIsSentFromTheTable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica(shortLease, func(c *app.DispatcherConfig) { c.Capacity = 3 })
	in := batch()
	for i := range 40 {
		in = append(in, plain(fmt.Sprint("m", i), "hello"))
	}
	w.must(r, in...) // nobody sends yet, and yet it does not block
	w.start(r)
	w.settled(map[domain.Status]int{domain.Sent: 40})
	w.mail.requireEachOnce(t, 40)
}

// A mail server that is away for long is asked less and less often, and the email goes out when it is back.
func TestServerAwayForLong(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var away atomic.Bool
	away.Store(true)
	w.mail.when(func(context.Context, domain.Email) error {
		if away.Load() {
			return errors.New("connection refused")
		}
		return nil
	})
	r := w.replica()
	w.start(r)
	w.must(r, about("1001", messages.KindConfirmed), about("1002", messages.KindConfirmed))
	testkit.Eventually(t, func() error {
		for _, n := range w.all() {
			if n.Attempts < 5 {
				return fmt.Errorf("order %s was tried %d times", n.OrderID, n.Attempts)
			}
			require.Equal(t, domain.Pending, n.Status)
			require.Equal(t, "connection refused", n.Reason)
		}
		return nil
	})
	away.Store(false)
	w.settled(map[domain.Status]int{domain.Sent: 2})
	w.mail.requireEachOnce(t, 2)
}
