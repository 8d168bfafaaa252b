package app_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

// While the database is down, what was sent is remembered, and its lease may even run out: it is not sent again.
func TestDatabaseDownBetweenSendAndMark(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica(shortLease)
	r.store.beforeSettle = failing(4) // longer than the lease
	w.start(r)
	w.must(r, about("1001", messages.KindConfirmed), about("1002", messages.KindConfirmed))
	w.settled(map[domain.Status]int{domain.Sent: 2})
	w.mail.requireEachOnce(t, 2)
}

// The lease runs out, the poller claims the email again, and only then it is written down that it was sent.
func TestSettledWhileItIsClaimedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica(func(c *app.DispatcherConfig) { c.SendTimeout, c.Lease = 100*time.Millisecond, 1200*time.Millisecond })
	var again atomic.Bool
	settling, polledOn := make(chan struct{}, 100), make(chan struct{}, 10_000)
	r.store.beforeSettle = func() error {
		if !again.Load() {
			return errDown
		}
		settling <- struct{}{}
		return nil
	}
	r.store.afterClaim = func(claimed []domain.Notification) {
		if len(claimed) == 0 || !again.CompareAndSwap(false, true) {
			if again.Load() {
				polledOn <- struct{}{} // what was claimed before is in memory by now
			}
			return
		}
		select { // the poller is held up between the table and its memory
		case <-settling:
			<-time.After(100 * time.Millisecond)
		case <-time.After(700 * time.Millisecond): // settling waits for the poller, as it should
		}
	}
	w.start(r)
	w.must(r, about("1001", messages.KindConfirmed))
	w.settled(map[domain.Status]int{domain.Sent: 1})
	wait(t, polledOn)
	w.must(r, about("1001", messages.KindCancelled)) // goes the same way behind it
	w.settled(map[domain.Status]int{domain.Sent: 2})
	w.mail.requireEachOnce(t, 2)
}

// A customer waits from the order on, not from the message that a service made of it.
func TestTimeFromOrderToEmailIsMeasured(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica()
	confirmed := about("1001", messages.KindConfirmed)
	confirmed.OrderTime = time.Now().Add(-time.Hour)
	w.must(r, confirmed, plain("m1", "of no order"))
	w.start(r)
	w.settled(map[domain.Status]int{domain.Sent: 2})

	families, err := r.metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "pasdetrois_notifications_order_to_email_seconds" {
			require.Len(t, f.GetMetric(), 1)
			require.Equal(t, messages.KindConfirmed, f.GetMetric()[0].GetLabel()[0].GetValue())
			require.EqualValues(t, 1, f.GetMetric()[0].GetHistogram().GetSampleCount())
			require.InDelta(t, 3600, f.GetMetric()[0].GetHistogram().GetSampleSum(), 600)
			return
		}
	}
	require.Fail(t, "it is not measured")
}
