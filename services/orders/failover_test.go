package orders_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

// The old primary lives on as a standby of the new one. It answers reads, so nothing but its refusal of writes tells it apart.
func TestOrdersAreTakenAsSoonAsTheAddressLeadsToTheNewPrimary(t *testing.T) {
	t.Parallel()
	old := testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), old.AdminURL))
	next := old.Standby()
	w := newWorld(t, testkit.Brokers(t), next.DB)
	w.CreateTopics(2)
	w.observe()
	address := testkit.NewProxy(t, old.AdminURL)
	w.cfg.DatabaseURL = address.Through(w.cfg.DatabaseURL)
	s := w.start()
	t.Cleanup(address.Close) // before the service
	s.Ready(http.StatusOK)
	require.Equal(t, http.StatusAccepted, s.takes("before"))
	w.Await("before", messages.EventPaymentRequested, "reserve")

	old.Stop()
	old.Follow(next)
	promote(t, next)
	old.Start()
	for range 5 {
		status, header := s.post("during")
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.NotEmpty(t, header.Get("Retry-After"))
	}
	w.Write(messages.TopicOrders, `{"order_id": "waits", "user_id": "u", "total": 1}`)
	s.Ready(http.StatusServiceUnavailable, `"postgres":"`, "takes no writes", "are held up")
	s.takesRequests(http.StatusServiceUnavailable)

	moved := time.Now()
	address.Lead(next.AdminURL)
	for s.place("after") != http.StatusAccepted {
		require.Less(t, time.Since(moved), 30*time.Second) // two seconds, on a machine that has time
	}
	took := time.Since(moved)
	t.Logf("the first order was taken %s after the address moved", took)
	for _, id := range []string{"before", "waits", "after"} {
		w.Await(id, messages.EventPaymentRequested, "reserve")
	}
	s.Ready(http.StatusOK)
	require.Zero(t, w.Rows("dead_letters"))

	both, err := url.Parse(old.AdminURL)
	require.NoError(t, err)
	other, err := url.Parse(next.AdminURL)
	require.NoError(t, err)
	both.Host += "," + other.Host
	pool, err := pgdb.Open(pgdb.Config{URL: both.String()})
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, pgdb.NewWatch(pool, nil).Check(t.Context()), "of several hosts the one that takes writes is used")
}

// promote makes a standby a primary, and returns when it takes writes.
func promote(t *testing.T, standby *testkit.Postgres) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), standby.AdminURL)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	var done bool
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT pg_promote()`).Scan(&done))
	require.True(t, done)
}
