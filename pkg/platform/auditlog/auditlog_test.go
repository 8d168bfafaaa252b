package auditlog_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, service.SchemaSQL)
	return errors.Join(err, conn.Close(ctx))
}

func TestAnEntryNamesItsActor(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrate)
	pool, err := pgdb.Open(pgdb.Config{URL: db.AdminURL})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	log := auditlog.New(pool)
	by := func(ctx context.Context) string {
		require.NoError(t, log.Add(ctx, auditlog.Entry{Operation: "thing.change", Subject: "1", Details: map[string]any{"price": "9.99"}}))
		found, err := log.List(t.Context(), auditlog.Filter{Limit: 1})
		require.NoError(t, err)
		require.JSONEq(t, `{"price":"9.99"}`, string(found[0].Details))
		return found[0].Actor + " " + found[0].Address
	}
	require.Equal(t, "anyone ", by(t.Context()))
	require.Equal(t, "user:admin token 1f2e3d4c ", by(auth.With(t.Context(), auth.User("admin token 1f2e3d4c"))), "a name that was chosen to deceive")
	require.Equal(t, "admin token 1f2e3d4c 10.1.2.3", by(auditlog.With(auth.With(t.Context(), auth.User("ada")), auditlog.Actor{Name: "admin token 1f2e3d4c", Address: "10.1.2.3"})))
}

func TestAnEntryIsPartOfTheTransaction(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrate)
	pool, err := pgdb.Open(pgdb.Config{URL: db.AdminURL})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	log := auditlog.New(pool)
	undone := errors.New("undone")
	for _, result := range []error{undone, nil} {
		require.ErrorIs(t, pgdb.InTx(t.Context(), pool, func(ctx context.Context, tx *pgdb.Tx) error {
			require.NoError(t, auditlog.Add(ctx, tx, auditlog.Entry{Operation: "thing.change", Subject: "1"}))
			return result
		}), result)
	}
	found, err := log.List(t.Context(), auditlog.Filter{Limit: 9})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "{}", string(found[0].Details))
}

func TestTheLogIsListedInPages(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrate)
	pool, err := pgdb.Open(pgdb.Config{URL: db.AdminURL})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	log := auditlog.New(pool)
	for _, subject := range []string{"a", "b", "a", "b", "a"} {
		require.NoError(t, log.Add(t.Context(), auditlog.Entry{Operation: "thing.change", Subject: subject}))
	}
	api, handler := httpx.NewAPI("log", "1", "test")
	auditlog.Register(api, log, slog.New(slog.DiscardHandler))
	pages := func(query string) (ids []int64) {
		for cursor := ""; ; {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/audit-log?limit=2"+query+cursor, nil))
			require.Equal(t, http.StatusOK, answer.Code, answer.Body)
			var page httpx.Page[auditlog.Kept]
			require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &page))
			for _, k := range page.Items {
				ids = append(ids, k.ID)
			}
			if cursor = "&cursor=" + page.NextCursor; page.NextCursor == "" {
				return ids
			}
		}
	}
	require.Equal(t, []int64{5, 4, 3, 2, 1}, pages(""))
	require.Equal(t, []int64{5, 3, 1}, pages("&subject=a"))
	require.Empty(t, pages("&subject=c"))
}

func TestRetentionAndErasureGoThroughFunctions(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrate)
	pool, err := pgdb.Open(pgdb.Config{URL: db.AdminURL})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	log := auditlog.New(pool)
	ada := auditlog.With(t.Context(), auditlog.Actor{Name: "user:ada", Address: "10.1.2.3"})
	require.NoError(t, log.Add(ada, auditlog.Entry{Operation: "order.cancel", Subject: "ada"}))
	require.NoError(t, log.Add(t.Context(), auditlog.Entry{Operation: "user.export", Subject: "ada"}))
	call := func(sql string, args ...any) (n int64) {
		require.NoError(t, pool.QueryRow(t.Context(), sql, args...).Scan(&n))
		return n
	}
	const pseudonymise, prune = `SELECT pseudonymise_audit_log($1, $2)`, `SELECT prune_audit_log($1::interval, $2)`
	require.Zero(t, call(pseudonymise, "ada", "bob"), "an entry cannot be put on another user")
	require.Zero(t, call(pseudonymise, "ada", "erased-bob"), "a user may have such a name")
	erased := "erased-" + strings.Repeat("0a", 16)
	require.EqualValues(t, 2, call(pseudonymise, "ada", erased))
	found, err := log.List(t.Context(), auditlog.Filter{Limit: 9})
	require.NoError(t, err)
	require.Equal(t, []string{"anyone", erased, ""}, []string{found[0].Actor, found[0].Subject, found[0].Address})
	require.Equal(t, []string{"user:" + erased, "ada", ""}, []string{found[1].Actor, found[1].Subject, found[1].Address}, "an order's id is no user's")

	_, err = pool.Exec(t.Context(), `UPDATE audit_log SET at = now() - id * interval '29 days'`)
	require.NoError(t, err)
	require.Zero(t, call(prune, "1 second", 1), "the oldest entry is younger than 30 days")
	require.Zero(t, call(prune, "100 days", 9))
	require.EqualValues(t, 1, call(prune, "1 second", 9))
}

func TestOldEntriesEnd(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrate)
	pool, err := pgdb.Open(pgdb.Config{URL: db.AdminURL})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	log := auditlog.New(pool)
	for range 7 {
		require.NoError(t, log.Add(t.Context(), auditlog.Entry{Operation: "parcel.lose", Subject: "p"}))
	}
	_, err = pool.Exec(t.Context(), `UPDATE audit_log SET at = now() - interval '41 days' WHERE id <= 5`)
	require.NoError(t, err)
	sweep := func(keep time.Duration) int {
		n, err := retention.New(retention.Config{Pool: pool, Kinds: []retention.Kind{auditlog.Kind(keep)}, Rows: 2,
			Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()}).Pass(t.Context())
		require.NoError(t, err)
		return n
	}
	require.Zero(t, sweep(42*24*time.Hour))
	require.Equal(t, 5, sweep(40*24*time.Hour), "in slices of two")
	require.Zero(t, sweep(40*24*time.Hour))
}
