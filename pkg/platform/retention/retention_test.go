package retention_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// schemaSQL has one kind of rows, of which some may not go.
const schemaSQL = `
DO $$ BEGIN CREATE ROLE shelf LOGIN PASSWORD 'shelf'; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
CREATE SCHEMA shelf AUTHORIZATION shelf;
SET ROLE shelf;
SET search_path = shelf;
CREATE UNLOGGED TABLE replicas (name text PRIMARY KEY, renewed_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE books (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lent boolean NOT NULL DEFAULT false, at timestamptz NOT NULL)`

func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, schemaSQL)
	return errors.Join(err, conn.Close(ctx))
}

const keep = 30 * 24 * time.Hour

// world is one test's shelf, and a clock that stands still.
type world struct {
	t   *testing.T
	db  *pgxpool.Pool
	now time.Time
	reg *prometheus.Registry

	slices int
	fails  error
}

func setup(t *testing.T) *world {
	t.Helper()
	return &world{t: t, db: testkit.Database(t, migrate).Pool(t, "shelf"), now: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
		reg: prometheus.NewRegistry()}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.db.Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
}

// put puts books on the shelf now.
func (w *world) put(n int) {
	w.exec(`INSERT INTO books (at) SELECT $1 FROM generate_series(1, $2::int)`, w.now, n)
}

func (w *world) books() (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT count(*) FROM books`).Scan(&n))
	return n
}

func (w *world) kind() retention.Kind {
	return retention.Kind{Name: "books", Keep: keep, OldestSQL: `SELECT at FROM books ORDER BY id LIMIT 1`,
		Sweep: func(ctx context.Context, tx *pgdb.Tx, s retention.Slice) (swept retention.Swept, err error) {
			w.slices++
			if w.fails != nil {
				return swept, w.fails
			}
			looked := 0
			err = tx.QueryRow(ctx, `WITH looked AS (SELECT id, at, lent FROM books WHERE id > $1 ORDER BY id LIMIT $2),
				gone AS (DELETE FROM books WHERE id IN (SELECT id FROM looked WHERE at < $3 AND NOT lent) RETURNING 1)
				SELECT count(*), coalesce(max(id), $1), (SELECT count(*) FROM gone) FROM looked`, s.After.ID, s.Limit, s.Before).
				Scan(&looked, &swept.Last.ID, &swept.Removed)
			swept.More = looked == s.Limit
			return swept, err
		}}
}

func (w *world) sweeper(replica string, reg *prometheus.Registry) *retention.Sweeper {
	return retention.New(retention.Config{Pool: w.db, Replica: replica, Kinds: []retention.Kind{w.kind(), {Name: "kept", Sweep: nil}},
		Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler), Metrics: reg, Rows: 10})
}

func (w *world) pass(s *retention.Sweeper) int {
	w.t.Helper()
	n, err := s.Pass(w.t.Context())
	require.NoError(w.t, err)
	return n
}

func TestRowsGoWhenTheirTimeIsOver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.sweeper("a", w.reg)
	w.put(25)
	w.now = w.now.Add(keep)
	require.Zero(t, w.pass(s))
	w.put(5)
	w.now = w.now.Add(24 * time.Hour)
	w.slices = 0
	require.Equal(t, 25, w.pass(s))
	require.Equal(t, 4, w.slices, "slices of ten rows each, until one is not full")
	require.Equal(t, 5, w.books())
}

// A pass goes on where the last one ended: rows that may not go are not read each time. After a day it begins anew.
func TestRowsThatCouldNotGoAreLookedAtAgainAfterADay(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.sweeper("a", w.reg)
	w.put(25)
	w.exec(`UPDATE books SET lent = true`)
	w.now = w.now.Add(keep + time.Second)
	require.Zero(t, w.pass(s))
	w.exec(`UPDATE books SET lent = false`)
	w.slices = 0
	require.Zero(t, w.pass(s))
	require.Equal(t, 1, w.slices)
	w.now = w.now.Add(24 * time.Hour)
	require.Equal(t, 25, w.pass(s))
}

func TestOneReplicaSweepsAtATime(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.put(25)
	w.now = w.now.Add(keep + time.Second)
	w.exec(`INSERT INTO replicas (name, renewed_at) SELECT name, clock_timestamp() + interval '1 hour' FROM unnest(ARRAY['a', 'b']) AS n (name)`)
	a, b := w.sweeper("a", w.reg), w.sweeper("b", prometheus.NewRegistry())
	require.Zero(t, w.pass(b), "it is a's turn")
	w.exec(`UPDATE replicas SET renewed_at = clock_timestamp() - interval '1 minute' WHERE name = 'a'`)
	require.Equal(t, 25, w.pass(b), "a is dead")

	w.put(1)
	w.now = w.now.Add(keep + 24*time.Hour)
	w.exec(`UPDATE replicas SET renewed_at = clock_timestamp() + interval '1 hour' WHERE name = 'a'`)
	tx, err := w.db.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	_, err = tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('pasdetrois.retention.shelf', 0))`)
	require.NoError(t, err)
	require.Zero(t, w.pass(a), "a slice of another replica runs")
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, 1, w.pass(a))
}

func TestAFailureUndoesItsSliceAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.sweeper("a", w.reg)
	w.put(3)
	w.now = w.now.Add(keep + time.Second)
	w.fails = errors.New("no")
	_, err := s.Pass(t.Context())
	require.ErrorContains(t, err, "books: no")
	w.fails = nil
	require.Equal(t, 3, w.pass(s))
}

// The sweeper begins when it runs, and ends with its context.
func TestRunSweepsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.put(25)
	w.now = w.now.Add(keep + time.Second)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.sweeper("a", w.reg).Run(ctx) }()
	testkit.Eventually(t, func() error {
		if n := w.books(); n > 0 {
			return errors.New("there are books left")
		}
		return nil
	})
	stop()
	require.NoError(t, <-done)
}

func TestTablesAndKindsAreMeasured(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.put(1000)
	made := w.now
	w.exec(`ANALYZE books`)
	s := w.sweeper("a", w.reg)
	families, err := w.reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			got[f.GetName()+" "+m.GetLabel()[0].GetValue()] = value
		}
	}
	require.Equal(t, 1000., got["pasdetrois_table_rows books"])
	require.Greater(t, got["pasdetrois_table_bytes books"], 40_000.)
	require.Contains(t, got, "pasdetrois_table_bytes replicas")
	require.Equal(t, float64(made.Unix()), got["pasdetrois_oldest_row_timestamp_seconds books"])
	require.Equal(t, keep.Seconds(), got["pasdetrois_retention_keep_seconds books"])
	require.Zero(t, got["pasdetrois_retention_keep_seconds kept"])
	require.Contains(t, got, "pasdetrois_retention_finished_timestamp_seconds books")
	require.NotContains(t, got, "pasdetrois_retention_finished_timestamp_seconds kept")

	w.now = w.now.Add(keep + time.Second)
	w.pass(s)
	problems, err := testutil.GatherAndCount(w.reg, "pasdetrois_retention_removed_total")
	require.NoError(t, err)
	require.Equal(t, 2, problems)
	families, err = w.reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "pasdetrois_retention_removed_total" {
			require.Equal(t, 1000., f.GetMetric()[0].GetCounter().GetValue())
		}
		if f.GetName() == "pasdetrois_retention_finished_timestamp_seconds" {
			require.Equal(t, float64(w.now.Unix()), f.GetMetric()[0].GetGauge().GetValue())
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	require.NoError(t, retention.Settings{}.Validate(), "for ever")
	require.NoError(t, retention.Settings{Letters: retention.Least, AuditLog: 720 * time.Hour}.Validate())
	err := retention.Settings{Letters: time.Hour, AuditLog: -time.Hour}.Validate()
	require.EqualError(t, err, "RETENTION_LETTERS: 1h0m0s is less than 192h0m0s, the time for which the topics have its record\n"+
		"RETENTION_AUDIT_LOG: -1h0m0s is less than 720h0m0s, the least that an audit log keeps")
}

// Tombstones outlive every version, so what they are made of never changes.
func TestTheIDOfATombstone(t *testing.T) {
	t.Parallel()
	id := retention.ID("o-1")
	require.Equal(t, []byte{0x5c, 0xbd, 0xcb}, id[:3])
	require.Equal(t, [][16]byte{id, retention.ID("o-2")}, retention.IDs([]string{"o-1", "o-2"}))
}
