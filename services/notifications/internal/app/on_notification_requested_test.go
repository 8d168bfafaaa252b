package app_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/notifications/internal/domain"
)

func TestOnNotificationRequestedSendsOneEmail(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica()
	w.start(r)
	in := about("1001", messages.KindConfirmed)
	in.Event.To = "ann@example.org"
	w.must(r, in)
	w.settled(map[domain.Status]int{domain.Sent: 1})

	require.Equal(t, []domain.Email{{MessageID: "<" + in.ID + "@pasdetrois.invalid>", To: "ann@example.org",
		Subject: "Order 1001 is confirmed", Message: "Order 1001 confirmed!", OrderID: "1001", Kind: "confirmed", Date: sentAt}},
		w.mail.all())
	n := w.all()[0]
	require.False(t, n.SentAt.IsZero())
	require.Equal(t, 1, n.Attempts)
	require.Empty(t, n.Reason)
	require.EqualValues(t, 1, r.counter(t, "notifications_total", "confirmed"))
	require.EqualValues(t, 1, r.counter(t, "emails_total", "sent"))
}

func TestOnNotificationRequestedSameMessageTwice(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica()
	w.start(r)
	for range 2 {
		w.must(r, about("1001", messages.KindConfirmed))
		w.must(r, plain("m1", "hello"))
	}
	w.settled(map[domain.Status]int{domain.Sent: 2})
	w.must(r, about("1001", messages.KindConfirmed), plain("m1", "hello")) // long after it was sent
	w.settled(map[domain.Status]int{domain.Sent: 2})
	w.mail.requireEachOnce(t, 2)
	require.EqualValues(t, 4, r.counter(t, "repetitions_total", "same"))
	require.Zero(t, r.counter(t, "repetitions_total", "other"))
}

func TestOnNotificationRequestedOtherContentIsParkedNotDropped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica()
	w.start(r)
	first, second := about("1001", messages.KindConfirmed), about("1001", messages.KindConfirmed)
	second.ID, second.Event.Message, second.Event.To = "forged", "Send money!", "mallory@example.org"
	reworded := about("1001", messages.KindConfirmed)
	reworded.Event.Message = "Order 1001 is confirmed."
	w.must(r, first)
	w.parks(r, second)
	w.must(r, plain("m1", "hello"))
	w.parks(r, plain("m1", "good bye"))
	w.must(r, reworded) // our own message again, after an upgrade
	w.settled(map[domain.Status]int{domain.Sent: 2})
	w.mail.requireEachOnce(t, 2)
	for _, e := range w.mail.all() {
		require.Contains(t, []string{"Order 1001 confirmed!", "hello"}, e.Message)
	}
	require.EqualValues(t, 3, r.counter(t, "repetitions_total", "other"))
}

func TestOnNotificationRequestedKeepsOnePerKindAndOnePerMessage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica()
	w.start(r)
	noKind := about("1001", "")
	noKind.ID = "m3"
	noOrder := about("", messages.KindConfirmed)
	noOrder.ID = "m4"
	otherNoKind := about("1001", "")
	otherNoKind.ID = "m5"
	w.must(r, about("1001", messages.KindConfirmed))
	w.must(r, about("1001", messages.KindCancelled))
	w.must(r, about("1002", messages.KindConfirmed))
	w.must(r, plain("m1", "hello"))
	w.must(r, plain("m2", "hello"))
	for range 2 {
		w.must(r, noKind)
		w.must(r, noOrder)
		w.must(r, otherNoKind)
	}
	w.settled(map[domain.Status]int{domain.Sent: 8})
	w.mail.requireEachOnce(t, 8)
	require.EqualValues(t, 4, r.counter(t, "notifications_total", "none"))
}

// A foreign producer that gives two orders' messages one id loses neither.
func TestOnNotificationRequestedSameIDForTwoOrders(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica()
	w.start(r)
	a, b, c := about("1001", messages.KindConfirmed), about("1002", messages.KindConfirmed), plain("same", "hello")
	a.ID, b.ID = "same", "same"
	w.must(r, a, b, c)
	w.settled(map[domain.Status]int{domain.Sent: 3})
	w.mail.requireEachOnce(t, 3)
}

func TestOnNotificationRequestedBatchWithDuplicatesInside(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica()
	w.start(r)
	w.must(r, about("1000", messages.KindConfirmed))
	forged := about("1001", messages.KindConfirmed)
	forged.ID, forged.Event.Message = "forged", "Send money!"
	results := w.ask(r, about("1000", messages.KindConfirmed), about("1001", messages.KindConfirmed), plain("m1", "hello"), forged,
		about("1001", messages.KindConfirmed), plain("m1", "hello"), plain("m2", "hello"))
	for i, result := range results {
		require.Equal(t, i == 3, fault.KindOf(result.Err) == fault.Permanent, "message %d: %v", i, result.Err)
	}
	w.settled(map[domain.Status]int{domain.Sent: 4})
	w.mail.requireEachOnce(t, 4)
	for _, n := range w.all() {
		require.NotEqual(t, "Send money!", n.Message, "the first of a batch wins")
	}
	require.EqualValues(t, 3, r.counter(t, "repetitions_total", "same"))
	require.EqualValues(t, 1, r.counter(t, "repetitions_total", "other"))
	w.must(r) // an empty batch is no error
}

func TestOnNotificationRequestedByTwoReplicasAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a, b := w.replica(), w.replica()
	w.start(a)
	w.start(b)
	release := make(chan struct{})
	done := make(chan []error, 2)
	for _, r := range []*replica{a, b} {
		go func() {
			<-release
			var errs []error
			for i := range 40 {
				results := r.OnNotificationRequested(t.Context(), batch(about(fmt.Sprint(i), messages.KindConfirmed), plain(fmt.Sprint("m", i), "hi")))
				errs = append(errs, results[0].Err, results[1].Err)
			}
			done <- errs
		}()
	}
	close(release)
	for range 2 {
		for _, err := range wait(t, done) {
			require.NoError(t, err)
		}
	}
	w.settled(map[domain.Status]int{domain.Sent: 80})
	w.mail.requireEachOnce(t, 80)
}

func TestOnNotificationRequestedDatabaseDown(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica()
	w.start(r)
	r.store.beforeAdd = failing(1)
	for _, result := range w.ask(r, about("1001", messages.KindConfirmed), plain("m1", "hello")) {
		require.ErrorIs(t, result.Err, errDown)
		require.Equal(t, fault.Transient, fault.KindOf(result.Err), "it is tried again, not parked")
	}
	require.Empty(t, w.all())
	w.must(r, about("1001", messages.KindConfirmed), plain("m1", "hello"))
	w.settled(map[domain.Status]int{domain.Sent: 2})
	w.mail.requireEachOnce(t, 2)
}

// The commit happened, but nobody heard of it: the message is delivered again, and the email comes from the table.
func TestOnNotificationRequestedCommitOutcomeUnknown(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica(shortLease)
	w.start(r)
	r.store.afterAdd = failing(1)
	require.ErrorIs(t, w.ask(r, about("1001", messages.KindConfirmed))[0].Err, errDown)
	w.must(r, about("1001", messages.KindConfirmed))
	w.settled(map[domain.Status]int{domain.Sent: 1})
	w.mail.requireEachOnce(t, 1)
}
