package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/email"
	"pasdetrois/services/notifications/internal/store"
)

func (w *world) limited(perHour int) func(*app.DispatcherConfig) {
	return func(c *app.DispatcherConfig) { c.Limit = store.NewLimit(w.db, perHour, email.Mailbox) }
}

// to returns an order's notification to an address.
func to(order, address string) bus.In[messages.NotificationRequested] {
	in := about(order, messages.KindConfirmed)
	in.Event.To = address
	return in
}

// later makes it so much later for every email that waits, and for what was counted.
func (w *world) later(by time.Duration) {
	w.t.Helper()
	_, err := w.db.Exec(w.t.Context(), `UPDATE mailboxes SET slots = ARRAY(SELECT s - $1::interval FROM unnest(slots) AS s)`, by)
	require.NoError(w.t, err)
	_, err = w.db.Exec(w.t.Context(), `UPDATE notifications SET next_attempt_at = next_attempt_at - $1::interval, slot_at = slot_at - $1::interval WHERE status = 'pending'`, by)
	require.NoError(w.t, err)
}

// waits waits until so many notifications have a time of their own in the future and all others are sent.
func (w *world) waits(want int) {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		waiting, sent := 0, 0
		for _, n := range w.all() {
			switch {
			case n.Status == domain.Sent:
				sent++
			case time.Until(n.SlotAt) > 0 && strings.HasPrefix(n.Reason, "limited: ") && n.Attempts == 0:
				waiting++
			}
		}
		if waiting != want || waiting+sent != len(w.all()) {
			return fmt.Errorf("%d wait and %d are sent, of %d", waiting, sent, len(w.all()))
		}
		return nil
	})
}

// 50 orders in a second with one address, written in three ways, on two replicas: its owner gets the limit, and the rest
// hour by hour. Nothing is lost, and nobody else waits.
func TestEmailsAboveTheLimitWaitForTheirHour(t *testing.T) {
	t.Parallel()
	w := setup(t)
	one, two := w.replica(w.limited(3)), w.replica(w.limited(3))
	w.start(one)
	w.start(two)
	for i, address := range []string{"victim@example.org", "Victim@Example.org", "victim+1@example.org", "victim+2@example.org",
		"victim@example.org", "victim@example.org", "victim@example.org", "victim@example.org"} {
		w.must([]*replica{one, two}[i%2], to(fmt.Sprint(i), address))
	}
	w.must(one, to("8", "ann@example.org"), to("9", "bob@example.org"))
	w.waits(5)
	w.mail.requireEachOnce(t, 5)
	require.EqualValues(t, 5, one.counter(t, "emails_total", "limited")+two.counter(t, "emails_total", "limited"))
	require.Zero(t, one.counter(t, "emails_total", "retried")+two.counter(t, "emails_total", "retried"))

	w.later(time.Hour)
	w.waits(2)
	w.mail.requireEachOnce(t, 8)

	w.later(5 * time.Hour)
	w.waits(0)
	w.mail.requireEachOnce(t, 10)
}

// After an outage many times have passed unused. The emails do not all go at once then.
func TestTimesThatPassedUnusedAreNotMadeUpFor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica(w.limited(1))
	stop := w.start(r)
	for i := range 4 {
		w.must(r, to(fmt.Sprint(i), "victim@example.org"))
	}
	w.waits(3)
	stop()
	w.later(10 * time.Hour)
	w.start(w.replica(w.limited(1)))
	w.waits(2)
	w.mail.requireEachOnce(t, 2)
}

// Attempts that reached nobody do not count: a greylisted email goes with the first attempt that is taken.
func TestAttemptsThatReachNobodyDoNotCount(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var attempts atomic.Int32
	w.mail.when(func(context.Context, domain.Email) error {
		if attempts.Add(1) < 4 {
			return errors.New("451 try later")
		}
		return nil
	})
	r := w.replica(w.limited(1))
	w.start(r)
	w.must(r, to("1", "ann@example.org"))
	w.settled(map[domain.Status]int{domain.Sent: 1})
	require.EqualValues(t, 4, attempts.Load())
	w.must(r, to("2", "ann@example.org"))
	w.waits(1)
}

// A flood does not wait for days: what is more than a day's share fails where people see it, and can be retried.
func TestMoreThanADaysShareFailsVisibly(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica(w.limited(1))
	w.start(r)
	for i := range 26 {
		w.must(r, to(fmt.Sprint(i), "victim@example.org"))
	}
	w.settled(map[domain.Status]int{domain.Sent: 1, domain.Pending: 23, domain.Failed: 2})
	failed, err := r.List(t.Context(), app.Query{Status: domain.Failed, Limit: 10})
	require.NoError(t, err)
	require.Contains(t, failed[0].Reason, "too_many_emails: more emails wait for this address")
	require.EqualValues(t, 2, r.counter(t, "emails_total", "failed"))

	w.later(30 * time.Hour)
	_, err = r.Retry(t.Context(), failed[0].ID)
	require.NoError(t, err)
	testkit.Eventually(t, func() error {
		if have := w.statuses(); have[domain.Failed] != 1 {
			return fmt.Errorf("%v", have)
		}
		return nil
	})
}

// Greylisting asks everybody to come again. Who was let through keeps the time for that, and does not queue behind those
// who wait, who would otherwise leave an hour in which nobody is written to.
func TestARetryKeepsItsTime(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var mu sync.Mutex
	tried := make(map[string]bool)
	w.mail.when(func(_ context.Context, e domain.Email) error {
		mu.Lock()
		defer mu.Unlock()
		if again := tried[e.MessageID]; !again {
			tried[e.MessageID] = true
			return errors.New("451 4.7.1 greylisted")
		}
		return nil
	})
	r := w.replica(w.limited(2))
	w.start(r)
	for i := range 5 {
		w.must(r, to(fmt.Sprint(i), "ann@example.org"))
	}
	w.waits(3)
	w.mail.requireEachOnce(t, 2)
	w.later(time.Hour)
	w.waits(1)
	w.mail.requireEachOnce(t, 4)
}

// Who was let through once, or waited for a time that passed unused, is counted again when it comes late, but is never one
// too many: newcomers may have filled the mailbox's day meanwhile.
func TestWhoHadATimeIsNeverOneTooMany(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"a retry":  `slot_at = now() - interval '2 hours'`,
		"a waiter": `slot_at = now() - interval '2 minutes', attempts = 0, reason = 'limited: the address had its share'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.mail.when(func(context.Context, domain.Email) error { return errors.New("451 4.3.0 try later") })
			r := w.replica(w.limited(1), func(c *app.DispatcherConfig) { c.Retries.Backoff = domain.Backoff{First: time.Hour, Max: time.Hour} })
			w.start(r)
			w.must(r, to("1", "ann@example.org"))
			testkit.Eventually(t, func() error {
				if n := w.all()[0]; n.Attempts != 1 {
					return fmt.Errorf("%d attempts", n.Attempts)
				}
				return nil
			})
			_, err := w.db.Exec(t.Context(), `INSERT INTO mailboxes VALUES ('ann@example.org', ARRAY(SELECT now() + h * interval '1 hour' FROM generate_series(0, 23) AS h))
				ON CONFLICT (mailbox) DO UPDATE SET slots = EXCLUDED.slots`)
			require.NoError(t, err)
			_, err = w.db.Exec(t.Context(), `UPDATE notifications SET next_attempt_at = now(), `+change)
			require.NoError(t, err)
			testkit.Eventually(t, func() error {
				if n := w.all()[0]; n.Status != domain.Pending || time.Until(n.SlotAt) < 23*time.Hour {
					return fmt.Errorf("%s, at %s: %s", n.Status, n.SlotAt, n.Reason)
				}
				return nil
			})
		})
	}
}
