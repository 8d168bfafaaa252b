package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/store"
)

// What one user may see is found by an index, among the rows of all others.
func TestRowsOfAUserAreFoundAtOnceAmongThoseOfOthers(t *testing.T) {
	t.Parallel()
	database := testkit.Database(t, migrations.Up)
	db := database.OneConn(t, "orders")
	admin := database.OneConn(t, "")
	for _, sql := range []string{
		`INSERT INTO orders.orders (order_id, user_id, total_minor, currency, status, decided_by, version, created_at, updated_at, status_at)
		SELECT 'o-' || n, CASE WHEN n % 5000 = 7 THEN 'ada' WHEN n <= 8000 THEN 'old' ELSE 'u-' || n % 3 END, 1, 'USD', 'pending', 'http', 1, now() + n * interval '1 ms', now(), now()
		FROM generate_series(1, 20000) n`,
		`INSERT INTO orders.order_lines (order_id, line, sku, quantity) SELECT order_id, 1, 'a', 1 FROM orders.orders`,
		`INSERT INTO orders.order_events (order_id, number, event, status_from, status_to, at) SELECT order_id, 1, 'e', '', 'pending', now() FROM orders.orders`,
		`INSERT INTO orders.idempotency_keys (key, user_id, request_hash, status_code, location, etag, body, created_at)
		SELECT 'k', 'u-' || n, '', 202, '', '', '', now() FROM generate_series(1, 20000) n`,
		`ANALYZE orders.orders, orders.order_lines, orders.order_events, orders.idempotency_keys`,
	} {
		_, err := admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	begin := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	one := []string{"o-7"}
	for range 8 { // a statement gets its final plan at its sixth run
		requireFew(t, map[string]int64{
			"order":                  testkit.IndexEntries(t, db, store.OrderOfSQL, "o-7", "ada"),
			"lines":                  testkit.IndexEntries(t, db, store.LinesOfSQL, one, "ada"),
			"timeline":               testkit.IndexEntries(t, db, store.TimelineOfSQL, "o-7", 0, "ada"),
			"order to cancel":        testkit.IndexEntries(t, db, store.LockOfSQL, one, "ada"),
			"list of one who has 4":  testkit.IndexEntries(t, db, store.ListUserSQL, begin, "", 51, "ada"),
			"list of one of many":    testkit.IndexEntries(t, db, store.ListUserSQL, begin, "", 8, "u-1"),
			"list of one of old":     testkit.IndexEntries(t, db, store.ListUserSQL, begin, "", 8, "old"),
			"list of one in a state": testkit.IndexEntries(t, db, store.ListBothSQL, begin, "", 51, "ada", "pending"),
			"key that others have":   testkit.IndexEntries(t, db, store.KeysSQL, []string{"u-7"}, []string{"k"}),
		})
	}
}

func requireFew(t *testing.T, entries map[string]int64) {
	t.Helper()
	for name, n := range entries {
		require.Positive(t, n, name)
		require.Less(t, n, int64(10), "index entries gone over for the %s", name)
	}
}

// The same key of two users is two keys, of which each gets old by itself.
func TestPruningForgetsTheKeyOfTheUserWhoseItIs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.db.Exec(t.Context(), `INSERT INTO idempotency_keys (key, user_id, request_hash, status_code, location, etag, body, created_at, running_until)
		VALUES ('k', 'ada', '', 202, '', '', 'hers', now() - interval '2 days', NULL), ('k', 'bob', '', 202, '', '', 'his', now(), now() + interval '1 hour')`)
	require.NoError(t, err)
	pruned, err := w.PruneKeys(t.Context(), time.Now().Add(-24*time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, 1, pruned)

	require.NoError(t, w.FinishAnswer(t.Context(), app.Idempotency{User: "ada", Key: "k", RequestHash: []byte{}}, app.Answer{Status: 200, Body: []byte("other")}))
	var body, user string
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT user_id, convert_from(body, 'UTF8') FROM idempotency_keys`).Scan(&user, &body))
	require.Equal(t, []string{"bob", "his"}, []string{user, body})
}
