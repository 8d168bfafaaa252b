package app_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/store"
)

const keepTexts = 30 * 24 * time.Hour

// retain lets so much time pass and empties the notifications whose time is over. It returns how many.
func (w *world) retain(passed time.Duration) int {
	w.t.Helper()
	n, err := retention.New(retention.Config{Pool: w.db, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Rows: 2,
		Kinds: []retention.Kind{store.EndingTexts(keepTexts)}, Now: func() time.Time { return time.Now().Add(passed) }}).Pass(w.t.Context())
	require.NoError(w.t, err)
	return n
}

// The row stays, because it is the inbox: what is requested again is not sent again, and not parked for want of a text.
func TestAnEmptiedNotificationIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica()
	w.start(r)
	for _, id := range []string{"m1", "m2", "m3"} {
		w.must(r, plain(id, "hello"))
	}
	w.must(r, about("1001", messages.KindConfirmed))
	w.settled(map[domain.Status]int{domain.Sent: 4})
	require.Zero(t, w.retain(keepTexts-time.Hour))
	require.Equal(t, 4, w.retain(keepTexts+time.Hour))
	require.Zero(t, w.retain(keepTexts+time.Hour))
	for _, n := range w.all() {
		require.Empty(t, n.Message+n.To+n.TraceParent)
		require.Equal(t, domain.Sent, n.Status)
	}
	w.must(r, about("1001", messages.KindConfirmed), plain("m1", "hello"), plain("m2", "another text"))
	require.Len(t, w.all(), 4)
	w.mail.requireEachOnce(t, 4)
}

// An email that is still on its way, or whose event is still to be published, keeps its text.
func TestOnlyEmailsThatEndedAreEmptied(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.replica() // does not run: its emails stay pending
	w.must(r, plain("pending", "hello"), plain("unrecorded", "hello"), plain("failed", "hello"))
	_, err := w.db.Exec(t.Context(), `UPDATE notifications SET status = 'failed', reason = 'no mailbox u1@example.com', failed_at = now(),
		recorded = message_id <> 'unrecorded' WHERE message_id <> 'pending'`)
	require.NoError(t, err)
	require.Equal(t, 1, w.retain(keepTexts+time.Hour))
	for _, n := range w.all() {
		require.Equal(t, n.MessageID == "failed", n.IsEmptied(), n.MessageID)
		if n.IsEmptied() {
			require.Equal(t, "removed", n.Reason)
			_, err := r.Retry(t.Context(), n.ID)
			require.ErrorIs(t, err, app.ErrEmptied)
		}
	}
}
