package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var t0 = time.Date(2026, 5, 1, 12, 0, 0, 123456000, time.UTC)

func setup(t *testing.T) (*store.Store, *pgxpool.Pool) {
	t.Helper()
	pool := testkit.Database(t, migrations.Up).Pool(t, "notifications")
	return store.New(pool), pool
}

func about(order, kind, message string) domain.Notification {
	return domain.New(message, t0, messages.NotificationRequested{UserID: "u1", OrderID: order, Kind: kind,
		Message: "Hello\n\"Ann\"!", Channel: messages.ChannelEmail})
}

// add stores notifications and returns them.
func add(t *testing.T, s *store.Store, lease time.Duration, batch ...domain.Notification) []domain.Notification {
	t.Helper()
	kept, err := s.Add(t.Context(), batch, lease)
	require.NoError(t, err)
	stored := make([]domain.Notification, len(kept))
	for i, k := range kept {
		require.True(t, k.New)
		stored[i] = k.Notification
	}
	return stored
}

func get(t *testing.T, s *store.Store) []domain.Notification {
	t.Helper()
	found, err := s.List(t.Context(), app.Query{Limit: 1000})
	require.NoError(t, err)
	return found
}

func TestAddKeepsEverything(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	want := about("1001", "confirmed", "m1")
	got := add(t, s, time.Minute, want)[0]
	require.Positive(t, got.ID)
	require.Equal(t, 1, got.Claim)
	require.WithinDuration(t, time.Now(), got.CreatedAt, time.Minute)
	want.ID, want.Claim, want.CreatedAt, want.TriedSince = got.ID, got.Claim, got.CreatedAt, got.TriedSince
	require.Equal(t, want, got)
	require.Equal(t, []domain.Notification{want}, get(t, s))
}

func TestTextThatTheDatabaseNeverTakesIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	n := about("o", "confirmed", "m")
	n.Message = "a\x00b"
	_, err := s.Add(t.Context(), []domain.Notification{n}, 0)
	require.Equal(t, fault.Permanent, fault.KindOf(err), "%v", err)
}

func TestAddAnswersForEveryElementInOrder(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	add(t, s, time.Minute, about("1", "confirmed", "m1"), about("", "", "m2"))
	batch := []domain.Notification{about("2", "confirmed", "m3"), about("", "", "m2"), about("2", "confirmed", "m4"),
		about("1", "confirmed", "m5"), about("", "", "m6"), about("", "", "m6")}
	kept, err := s.Add(t.Context(), batch, time.Minute)
	require.NoError(t, err)
	require.Len(t, kept, len(batch))
	var shown []string
	for i, k := range kept {
		require.Equal(t, batch[i].Key(), k.Key())
		shown = append(shown, fmt.Sprint(k.MessageID, k.New))
	}
	require.Equal(t, []string{"m3true", "m2false", "m3false", "m1false", "m6true", "m6false"}, shown)
	require.Len(t, get(t, s), 4)
}

func TestClaimTakesOnlyWhatIsDue(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	leased := add(t, s, time.Hour, about("1", "confirmed", "m1"))[0]
	due := add(t, s, 0, about("2", "confirmed", "m2"), about("3", "confirmed", "m3"), about("4", "confirmed", "m4"))
	require.NoError(t, s.Settle(t.Context(), []app.Outcome{
		{ID: due[1].ID, Claim: 1, Status: domain.Sent, SentAt: t0}, {ID: due[2].ID, Claim: 1, Status: domain.Pending, Reason: "451", Pause: time.Hour}}))

	claimed, err := s.Claim(t.Context(), 10, time.Minute)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.Equal(t, due[0].ID, claimed[0].ID)
	require.Equal(t, 2, claimed[0].Claim)
	require.Zero(t, claimed[0].Attempts, "a claim alone is no attempt")
	claimed, err = s.Claim(t.Context(), 10, time.Minute)
	require.NoError(t, err)
	require.Empty(t, claimed, "it is leased now")

	require.NoError(t, s.Release(t.Context(), []domain.Notification{leased}))
	claimed, err = s.Claim(t.Context(), 10, time.Minute)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.Equal(t, leased.ID, claimed[0].ID)
}

func TestClaimKeepsToItsLimitAndTakesTheOldestFirst(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	for i := range 5 {
		add(t, s, 0, about(fmt.Sprint(i), "confirmed", "m"))
	}
	var orders []string
	for range 3 {
		claimed, err := s.Claim(t.Context(), 2, time.Minute)
		require.NoError(t, err)
		for _, n := range claimed {
			orders = append(orders, n.OrderID)
		}
	}
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, orders)
}

func TestClaimsAtOnceDoNotOverlap(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	batch := make([]domain.Notification, 500)
	for i := range batch {
		batch[i] = about(fmt.Sprint(i), "confirmed", "m")
	}
	add(t, s, 0, batch...)
	var (
		mu      sync.Mutex
		owners  = make(map[int64]int)
		claims  sync.WaitGroup
		release = make(chan struct{})
	)
	for range 8 {
		claims.Go(func() {
			<-release
			for {
				claimed, err := s.Claim(t.Context(), 20, time.Hour)
				if err != nil || len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, n := range claimed {
					owners[n.ID]++
				}
				mu.Unlock()
			}
		})
	}
	close(release)
	claims.Wait()
	require.Len(t, owners, len(batch))
	for id, times := range owners {
		require.Equal(t, 1, times, id)
	}
}

// A late owner may say that it sent the email, which is true whoever claims it now. Nothing else it says counts.
func TestSettleUnderAClaimThatRanOut(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	n := add(t, s, 0, about("1", "confirmed", "m1"))[0]
	again, err := s.Claim(t.Context(), 1, time.Hour)
	require.NoError(t, err)
	require.Len(t, again, 1)
	for _, late := range []app.Outcome{{ID: n.ID, Claim: n.Claim, Status: domain.Pending, Reason: "451"},
		{ID: n.ID, Claim: n.Claim, Status: domain.Failed, Reason: "550"}} {
		require.NoError(t, s.Settle(t.Context(), []app.Outcome{late}))
		require.Equal(t, again, get(t, s))
	}
	require.NoError(t, s.Release(t.Context(), []domain.Notification{n}))
	claimed, err := s.Claim(t.Context(), 1, time.Hour)
	require.NoError(t, err)
	require.Empty(t, claimed, "the present owner keeps its claim")

	require.NoError(t, s.Settle(t.Context(), []app.Outcome{{ID: n.ID, Claim: n.Claim, Status: domain.Sent, SentAt: t0}}))
	require.Equal(t, domain.Sent, get(t, s)[0].Status)
	require.NoError(t, s.Settle(t.Context(), []app.Outcome{{ID: n.ID, Claim: again[0].Claim, Status: domain.Failed, Reason: "550"}}))
	sent := get(t, s)[0]
	require.Equal(t, domain.Sent, sent.Status, "final is final")
	require.Equal(t, t0, sent.SentAt)
	require.Equal(t, 1, sent.Attempts)
}

func TestTableRefusesWhatTheRulesForbid(t *testing.T) {
	t.Parallel()
	_, pool := setup(t)
	const row = `INSERT INTO notifications (message_id, order_id, kind, user_id, recipient, message, channel, status, reason, sent_at, next_attempt_at, requested_at) VALUES `
	_, err := pool.Exec(t.Context(), row+`('m1', 'o1', 'confirmed', 'u', 'a', 'm', 'email', 'pending', '', NULL, now(), now()), ('m1', NULL, NULL, 'u', 'a', 'm', 'email', 'pending', '', NULL, now(), now())`)
	require.NoError(t, err)
	for values, constraint := range map[string]string{
		`('m2', 'o1', 'confirmed', 'u', 'a', 'm', 'email', 'pending', '', NULL, now(), now())`: "notification_once_per_order_and_kind",
		`('m1', 'o1', NULL, 'u', 'a', 'm', 'email', 'pending', '', NULL, now(), now())`:        "notification_once_per_message",
		`('m1', NULL, 'confirmed', 'u', 'a', 'm', 'email', 'pending', '', NULL, now(), now())`: "notification_once_per_message",
		`('m3', 'o3', NULL, 'u', 'a', 'm', 'email', 'lost', '', NULL, now(), now())`:           "notification_status",
		`('m3', 'o3', NULL, 'u', 'a', 'm', 'fax', 'pending', '', NULL, now(), now())`:          "notification_channel",
		`('m3', 'o3', NULL, 'u', 'a', 'm', 'email', 'sent', '', NULL, now(), now())`:           "notification_sent_has_time",
		`('m3', 'o3', NULL, 'u', 'a', 'm', 'email', 'pending', '', now(), now(), now())`:       "notification_sent_has_time",
		`('m3', 'o3', NULL, 'u', 'a', 'm', 'email', 'failed', '', NULL, now(), now())`:         "notification_failed_has_reason",
	} {
		_, err := pool.Exec(t.Context(), row+values)
		var refused *pgconn.PgError
		require.True(t, errors.As(err, &refused), values)
		require.Equal(t, constraint, refused.ConstraintName, values)
	}
}

func TestCollector(t *testing.T) {
	t.Parallel()
	s, pool := setup(t)
	pending := add(t, s, time.Hour, about("1", "confirmed", "m1"), about("2", "confirmed", "m2"), about("3", "confirmed", "m3"))
	require.NoError(t, s.Settle(t.Context(), []app.Outcome{{ID: pending[1].ID, Claim: 1, Status: domain.Sent, SentAt: t0, Unrecorded: true},
		{ID: pending[2].ID, Claim: 1, Status: domain.Pending, Reason: "limited", Waits: true, Slot: time.Now().Add(time.Hour)}}))
	_, err := pool.Exec(t.Context(), `UPDATE notifications SET tried_since = now() - id * interval '1 hour'`)
	require.NoError(t, err)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.Collector(slog.New(slog.DiscardHandler)))
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 4)
	require.Equal(t, "pasdetrois_notifications_oldest_pending_seconds", families[1].GetName())
	require.InDelta(t, 3600, families[1].GetMetric()[0].GetGauge().GetValue(), 60)
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP pasdetrois_notifications_limited Emails that wait because their address had its share for an hour.
# TYPE pasdetrois_notifications_limited gauge
pasdetrois_notifications_limited 1
# HELP pasdetrois_notifications_pending Notifications whose email is not sent yet.
# TYPE pasdetrois_notifications_pending gauge
pasdetrois_notifications_pending 2
# HELP pasdetrois_notifications_unrecorded Emails that ended while Kafka was away, so that their event is still to be published.
# TYPE pasdetrois_notifications_unrecorded gauge
pasdetrois_notifications_unrecorded 1
`), "pasdetrois_notifications_limited", "pasdetrois_notifications_pending", "pasdetrois_notifications_unrecorded"))

	pool.Close()
	families, err = reg.Gather()
	require.NoError(t, err)
	require.Empty(t, families, "unknown is not 0")
}

// The search for what is due reads the small index, however many notifications were sent before.
func TestClaimReadsTheIndexOfWhatIsDue(t *testing.T) {
	t.Parallel()
	s, pool := setup(t)
	_, err := pool.Exec(t.Context(), `INSERT INTO notifications (message_id, order_id, kind, user_id, recipient, message, channel, status, sent_at, next_attempt_at, requested_at)
		SELECT 'm' || i, 'o' || i, 'confirmed', 'u' || i % 100, 'a', 'm', 'email', 'sent', now(), now(), now() FROM generate_series(1, 20000) i`)
	require.NoError(t, err)
	add(t, s, 0, about("due", "confirmed", "m1"))
	testkit.Admin(t, pool, `ANALYZE notifications`)
	for sql, index := range map[string]string{
		`SELECT id FROM notifications WHERE status = 'pending' AND next_attempt_at <= now() ORDER BY next_attempt_at, id LIMIT 10`: "notifications_due",
		`SELECT id FROM notifications WHERE id < 1000000 AND user_id = 'u7' ORDER BY id DESC LIMIT 10`:                             "notifications_of_user",
		`SELECT id FROM notifications WHERE id < 1000000 AND order_id = 'o7' ORDER BY id DESC LIMIT 10`:                            "notification_once_per_order_and_kind",
	} {
		var plan string
		require.NoError(t, pool.QueryRow(t.Context(), `EXPLAIN (FORMAT JSON) `+sql).Scan(&plan))
		require.Contains(t, plan, index, sql)
	}
}

// An email that waits for its mailbox is late by nobody's fault: neither the age at which attempts end nor the age of the
// backlog counts the waiting, before the first attempt or between two.
func TestTheAgeDoesNotCountTheWaitForATime(t *testing.T) {
	t.Parallel()
	s, pool := setup(t)
	n := add(t, s, time.Minute, about("1", "confirmed", "m1"))[0]
	_, err := pool.Exec(t.Context(), `UPDATE notifications SET created_at = now() - interval '5 hours', tried_since = now() - interval '5 hours'`)
	require.NoError(t, err)
	read := func() domain.Notification { return get(t, s)[0] }
	oldest := func() time.Duration {
		left, err := s.Backlog(t.Context())
		require.NoError(t, err)
		return left.Oldest
	}
	require.InDelta(t, 5*time.Hour, oldest(), float64(time.Minute))

	slot := time.Now().Add(3 * time.Hour)
	require.NoError(t, s.Settle(t.Context(), []app.Outcome{{ID: n.ID, Claim: 1, Status: domain.Pending, Reason: "limited", Waits: true, Slot: slot}}))
	require.WithinDuration(t, slot, read().TriedSince, time.Millisecond, "it is new when its hour comes")
	require.Zero(t, oldest())

	// its hour came 30 minutes ago, and the mail server asks to come again
	_, err = pool.Exec(t.Context(), `UPDATE notifications SET tried_since = now() - interval '30 minutes', slot_at = now() - interval '30 minutes'`)
	require.NoError(t, err)
	slot = time.Now().Add(-30 * time.Minute)
	require.NoError(t, s.Settle(t.Context(), []app.Outcome{{ID: n.ID, Claim: 1, Status: domain.Pending, Reason: "451", Pause: time.Hour, Slot: slot}}))
	require.WithinDuration(t, slot, read().TriedSince, time.Minute)
	require.InDelta(t, 30*time.Minute, oldest(), float64(time.Minute), "without the hours before")
	var due time.Duration
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT next_attempt_at - now() FROM notifications`).Scan(&due))
	require.InDelta(t, time.Hour, due, float64(time.Minute), "it comes again after the pause, not at the time that it keeps")

	// nobody knows how the next attempt ended: it keeps no time, and waits for another one
	require.NoError(t, s.Settle(t.Context(), []app.Outcome{{ID: n.ID, Claim: 1, Status: domain.Pending, Reason: "unknown", Pause: time.Hour}}))
	require.InDelta(t, 30*time.Minute, oldest(), float64(time.Minute))
	require.NoError(t, s.Settle(t.Context(), []app.Outcome{{ID: n.ID, Claim: 1, Status: domain.Pending, Reason: "limited", Waits: true, Slot: time.Now().Add(4 * time.Hour)}}))
	require.WithinDuration(t, time.Now().Add(4*time.Hour-30*time.Minute), read().TriedSince, time.Minute, "half an hour of trying is behind it")
}

// Whoever was let through keeps its time for as long as that counts, and who waited and comes late loses it.
func TestClaimKeepsTheTimeOfARetryForAnHour(t *testing.T) {
	t.Parallel()
	s, pool := setup(t)
	add(t, s, 0, about("1", "confirmed", "m1"), about("2", "confirmed", "m2"), about("3", "confirmed", "m3"))
	_, err := pool.Exec(t.Context(), `UPDATE notifications SET next_attempt_at = now(),
		attempts = CASE order_id WHEN '3' THEN 0 ELSE 1 END,
		slot_at = now() - CASE order_id WHEN '2' THEN interval '61 minutes' ELSE interval '59 minutes' END`)
	require.NoError(t, err)
	claimed, err := s.Claim(t.Context(), 10, time.Minute)
	require.NoError(t, err)
	require.Len(t, claimed, 3)
	kept := make(map[string]bool)
	for _, n := range claimed {
		kept[n.OrderID] = !n.SlotAt.IsZero()
	}
	require.Equal(t, map[string]bool{"1": true, "2": false, "3": false}, kept)
}

// Logical replication copies notifications and leaves the sequence behind them.
func TestANotificationWhoseIDIsTakenIsNotTakenForAStoredOne(t *testing.T) {
	t.Parallel()
	s, pool := setup(t)
	for i := range 3 {
		add(t, s, time.Minute, about(fmt.Sprint("o", i), "order_confirmed", "m"))
	}
	testkit.Admin(t, pool, `SELECT setval('notifications_id_seq', 1, false)`)
	_, err := s.Add(t.Context(), []domain.Notification{about("o9", "order_confirmed", "m")}, time.Minute)
	require.ErrorAs(t, err, new(*pgdb.SequenceError))
	require.ErrorContains(t, err, "run `pas migrate`")
	require.True(t, pgdb.IsUnavailable(err), "the request waits in its partition")

	testkit.Admin(t, pool, `SELECT setval('notifications_id_seq', 3)`)
	kept, err := s.Add(t.Context(), []domain.Notification{about("o9", "order_confirmed", "m")}, time.Minute)
	require.NoError(t, err)
	require.True(t, kept[0].New)
}
