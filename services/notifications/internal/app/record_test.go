package app_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

// unrecorded returns how many rows wait for their event.
func (w *world) unrecorded() (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT count(*) FROM notifications WHERE NOT recorded`).Scan(&n))
	return n
}

// sweep publishes everything that is left, as the loop of the service does.
func (w *world) sweep(r *replica) {
	w.t.Helper()
	for {
		n, err := r.recorder.Sweep(w.t.Context())
		require.NoError(w.t, err)
		if n == 0 {
			return
		}
	}
}

// requireRecorded asserts that the topic has the outcome of every settled row, as the row has it, and no id twice.
func (w *world) requireRecorded() {
	w.t.Helper()
	have := make(map[string]messages.Message)
	for _, m := range w.kafka.all() {
		m.Source = ""
		require.NotContains(w.t, have, m.ID)
		have[m.ID] = m
	}
	rows := w.all()
	for _, n := range rows {
		m, ended := n.OutcomeMessage()
		require.True(w.t, ended, n.Status)
		require.Equal(w.t, m, have[m.ID])
	}
	require.Len(w.t, have, len(rows))
	require.Zero(w.t, w.unrecorded())
}

func TestTheOutcomeOfEachEmailIsPublishedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mail.when(func(_ context.Context, e domain.Email) error {
		if e.OrderID == "bad" {
			return fault.New("smtp_refused", "550 no such user")
		}
		return nil
	})
	r := w.replica()
	ordered := about("1001", messages.KindConfirmed)
	ordered.OrderTime = sentAt.Add(-time.Minute)
	w.must(r, ordered, about("bad", messages.KindRejected), plain("m1", "hello"))
	w.start(r)
	w.settled(map[domain.Status]int{domain.Sent: 2, domain.Failed: 1})
	w.requireRecorded()

	told := map[string]messages.Event{}
	for _, m := range w.kafka.all() {
		told[m.Event.Key()] = m.Event
	}
	require.Equal(t, messages.NotificationSent{MessageID: ordered.ID, OrderID: "1001", UserID: "u1", Kind: messages.KindConfirmed,
		Channel: messages.ChannelEmail}, told["1001"])
	require.Equal(t, messages.NotificationSent{MessageID: "m1", UserID: "u1", Channel: messages.ChannelEmail}, told[""])
	require.Equal(t, "smtp_refused: 550 no such user", told["bad"].(messages.NotificationFailed).Reason)
}

// A row that is settled has its event in Kafka. So the event is published first, and by one call for all that is ready.
func TestTheEventComesBeforeTheRow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	began, release := make(chan struct{}), make(chan struct{})
	first := true
	w.kafka.when(func(context.Context) error {
		if first {
			first = false
			close(began)
			<-release
		}
		return nil
	})
	r := w.replica(func(c *app.DispatcherConfig) {
		c.Recorder = app.NewRecorder(app.RecorderConfig{Store: c.Store, Publisher: w.kafka, Log: c.Log, Wait: time.Minute})
		c.SendTimeout, c.Lease = time.Minute, time.Hour
	})
	w.start(r)
	w.must(r, about("0", messages.KindConfirmed))
	wait(t, began)
	require.Equal(t, map[domain.Status]int{domain.Pending: 1}, w.statuses(), "the event is not in Kafka yet")
	const more = 50
	for i := range more {
		w.must(r, about(fmt.Sprint(i+1), messages.KindConfirmed))
	}
	testkit.Eventually(t, func() error {
		if have := len(w.mail.all()); have <= more {
			return fmt.Errorf("%d emails are sent", have)
		}
		return nil
	})
	close(release)
	w.settled(map[domain.Status]int{domain.Sent: more + 1})
	w.requireRecorded()
	require.LessOrEqual(t, w.kafka.count(), 4, "what is ready together is published together")
}

func TestWithKafkaAwayAnEmailIsSettledAndItsOutcomePublishedLater(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(context.Context) error{
		"refuses": func(context.Context) error { return errDown },
		"hangs":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.kafka.when(away)
			r := w.replica()
			w.start(r)
			for i := range 20 {
				w.must(r, about(fmt.Sprint(i), messages.KindConfirmed))
			}
			w.settled(map[domain.Status]int{domain.Sent: 20})
			require.Equal(t, 20, w.unrecorded())
			require.Equal(t, 1, w.kafka.count(), "only the first one waits for Kafka")
			var remark interface{ Passed() bool }
			require.ErrorAs(t, r.recorder.Check(t.Context()), &remark)
			require.True(t, remark.Passed())
			_, err := r.recorder.Sweep(t.Context())
			require.Error(t, err)
			require.Equal(t, 20, w.unrecorded())

			w.kafka.when(nil)
			_, err = w.db.Exec(t.Context(), `UPDATE notifications SET next_attempt_at = now()`) // the lease of the one that was tried ends
			require.NoError(t, err)
			w.sweep(w.replica()) // another process, so nothing depends on memory
			w.sweep(r)
			require.NoError(t, r.recorder.Check(t.Context()))
			w.requireRecorded()
			w.must(r, about("after", messages.KindConfirmed))
			w.settled(map[domain.Status]int{domain.Sent: 21})
			w.requireRecorded()
			w.mail.requireEachOnce(t, 21)
		})
	}
}

// An email that waits for Kafka longer than its claim lasts would be sent by another process.
func TestTheWaitForKafkaEndsBeforeTheClaim(t *testing.T) {
	t.Parallel()
	w := setup(t)
	waits := make(chan time.Duration, 1)
	w.kafka.when(func(ctx context.Context) error {
		ends, _ := ctx.Deadline()
		waits <- time.Until(ends)
		return context.DeadlineExceeded
	})
	r := w.replica(func(c *app.DispatcherConfig) {
		c.SendTimeout, c.Lease = time.Minute, 61*time.Minute
		c.Recorder = app.NewRecorder(app.RecorderConfig{Store: c.Store, Publisher: w.kafka, Log: c.Log, Wait: 24 * time.Hour})
	})
	w.start(r)
	w.must(r, about("1001", messages.KindConfirmed))
	require.LessOrEqual(t, wait(t, waits), 46*time.Minute, "a quarter of the hour is left for settling the row")
	w.settled(map[domain.Status]int{domain.Sent: 1})
	require.Equal(t, 1, w.unrecorded())
}

// At shutdown the rows are written, also when Kafka hangs.
func TestAtShutdownTheWaitForKafkaLeavesTimeForTheRows(t *testing.T) {
	t.Parallel()
	w := setup(t)
	began := make(chan struct{})
	w.kafka.when(func(ctx context.Context) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	})
	r := w.replica(func(c *app.DispatcherConfig) {
		c.SendTimeout, c.Lease, c.DrainTimeout = time.Hour, 24*time.Hour, 32*time.Second
		c.Recorder = app.NewRecorder(app.RecorderConfig{Store: c.Store, Publisher: w.kafka, Log: c.Log, Wait: time.Hour})
	})
	stop := w.start(r)
	w.must(r, about("1001", messages.KindConfirmed))
	wait(t, began)
	stop()
	require.Equal(t, map[domain.Status]int{domain.Sent: 1}, w.statuses())
	require.Equal(t, 1, w.unrecorded())
}

// While a sweep has claimed all that is left, Kafka still counts as away: the readiness remark does not come and go.
func TestKafkaCountsAsAwayWhileAnyRowIsUnrecorded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.kafka.when(func(context.Context) error { return errDown })
	r := w.replica()
	w.must(r, about("1001", messages.KindConfirmed))
	w.start(r)
	w.settled(map[domain.Status]int{domain.Sent: 1})
	_, err := w.db.Exec(t.Context(), `UPDATE notifications SET next_attempt_at = now() + interval '1 hour'`) // as another sweep does
	require.NoError(t, err)
	n, err := r.recorder.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	require.ErrorContains(t, r.recorder.Check(t.Context()), errDown.Error())

	_, err = w.db.Exec(t.Context(), `UPDATE notifications SET recorded = true`) // by another replica
	require.NoError(t, err)
	_, err = r.recorder.Sweep(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.recorder.Check(t.Context()))
}

// A crash after an outcome was published, and before its row was marked: it is published again, as the same message.
func TestAnOutcomeThatIsPublishedTwiceIsTheSame(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.kafka.when(func(context.Context) error { return errDown })
	w.mail.when(func(context.Context, domain.Email) error { return fault.New("smtp_refused", "550") })
	r := w.replica()
	w.must(r, about("1001", messages.KindConfirmed))
	w.start(r)
	w.settled(map[domain.Status]int{domain.Failed: 1})
	w.kafka.when(nil)
	for range 2 {
		w.sweep(w.replica())
		_, err := w.db.Exec(t.Context(), `UPDATE notifications SET recorded = false, next_attempt_at = now()`)
		require.NoError(t, err)
	}
	twice := w.kafka.all()
	require.Len(t, twice, 2)
	require.Equal(t, twice[0], twice[1])
}

// A failure that an operator has retried is another one when the email fails again.
func TestEachFailureIsRecorded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mail.when(func(context.Context, domain.Email) error { return fault.New("smtp_refused", "550") })
	r := w.replica()
	w.must(r, about("1001", messages.KindConfirmed))
	w.start(r)
	for failures := 1; failures <= 2; failures++ {
		w.settled(map[domain.Status]int{domain.Failed: 1})
		require.Len(t, w.kafka.all(), failures)
		if failures == 2 {
			w.mail.when(func(context.Context, domain.Email) error { return nil })
		}
		_, err := r.Retry(t.Context(), w.all()[0].ID)
		require.NoError(t, err)
		testkit.Eventually(t, func() error {
			if have := len(w.kafka.all()); have <= failures {
				return errors.New("it has not ended again")
			}
			return nil
		})
	}
	w.settled(map[domain.Status]int{domain.Sent: 1})
	ids := map[string]bool{}
	for _, m := range w.kafka.all() {
		ids[m.ID] = true
	}
	require.Len(t, ids, 3)
	n := w.all()[0]
	require.False(t, n.FailedAt.IsZero(), "the row keeps the time of its latest failure")
}

// Waiting for an outcome of an email that nobody published yet ends with an operator's retry.
func TestARetryEndsTheWaitOfAFailureForItsEvent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.kafka.when(func(context.Context) error { return errDown })
	w.mail.when(func(context.Context, domain.Email) error { return fault.New("smtp_refused", "550") })
	r := w.replica()
	w.must(r, about("1001", messages.KindConfirmed))
	stop := w.start(r)
	w.settled(map[domain.Status]int{domain.Failed: 1})
	stop()
	require.Equal(t, 1, w.unrecorded())
	_, err := r.Retry(t.Context(), w.all()[0].ID)
	require.NoError(t, err)
	require.Zero(t, w.unrecorded())
}
