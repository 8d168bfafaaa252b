package deadletter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const ddl = `
CREATE TABLE dead_letters (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic         text        NOT NULL,
  partition     integer     NOT NULL,
  record_offset bigint      NOT NULL,
  record_time   timestamptz NOT NULL,
  key           bytea,
  value         bytea,
  headers       jsonb       NOT NULL DEFAULT '[]',
  reason        text        NOT NULL,
  detail        text        NOT NULL,
  stack         text        NOT NULL DEFAULT '',
  state         text        NOT NULL DEFAULT 'parked'
                CONSTRAINT dead_letter_state CHECK (state IN ('parked', 'replaying', 'replayed', 'discarded')),
  attempts      integer     NOT NULL DEFAULT 0,
  parked_at     timestamptz NOT NULL DEFAULT now(),
  changed_at    timestamptz NOT NULL DEFAULT now(),
  claimed_at    timestamptz,
  last_offset   bigint,
  value_bytes   bigint,
  value_sha256  bytea,
  key_bytes     bigint,
  headers_bytes bigint,
  stored_bytes  bigint      NOT NULL DEFAULT 0,
  content       bytea       NOT NULL GENERATED ALWAYS AS (sha256(
    coalesce(sha256(key), '\x00') || coalesce(value_sha256, sha256(value), '\x00') || int8send(jsonb_hash_extended(headers, 0))
    || int8send(coalesce(key_bytes, 0)) || int8send(coalesce(headers_bytes, 0))
    || CASE WHEN record_time < to_timestamp(0) OR last_offset IS NOT NULL THEN int4send(partition) || int8send(record_offset) ELSE '' END)) STORED,
  twin          integer     NOT NULL DEFAULT 0,
  CONSTRAINT dead_letter_parked_once UNIQUE (topic, record_time, content, twin)
);
CREATE TABLE audit_log (
  id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor     text        NOT NULL,
  operation text        NOT NULL,
  subject   text        NOT NULL,
  details   jsonb       NOT NULL DEFAULT '{}',
  address   text        NOT NULL DEFAULT ''
);`

func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, ddl)
	return errors.Join(err, conn.Close(ctx))
}

// replayer is the use case that letters are put through again.
type replayer func(ctx context.Context, r messages.Record) error

func (f replayer) Handle(ctx context.Context, r messages.Record) error { return f(ctx, r) }

// world is one service's letters, its admin API and whatever workers a test starts.
type world struct {
	*deadletter.Store
	t     *testing.T
	db    *pgxpool.Pool
	admin http.Handler
	log   *slog.Logger
	said  *locked
}

func setup(t *testing.T) *world {
	t.Helper()
	return over(t, testkit.Database(t, migrate).AdminURL)
}

func over(t *testing.T, url string) *world {
	t.Helper()
	db, err := pgdb.Open(pgdb.Config{URL: url})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	w := &world{Store: deadletter.NewStore(db), t: t, db: db, said: &locked{}}
	w.log = slog.New(slog.NewJSONHandler(w.said, nil))
	w.serve(nil)
	return w
}

// serve makes an admin API that wakes the worker, which may be nobody's.
func (w *world) serve(worker *deadletter.Worker) {
	if worker == nil {
		worker = deadletter.NewWorker(w.Store, nil, w.log)
	}
	api, handler := httpx.NewAPI("letters", "1", "test")
	deadletter.Register(api, w.Store, worker)
	w.admin = handler
}

// work runs a worker until the test ends, or stop is called.
func (w *world) work(handle replayer) (worker *deadletter.Worker, stop func()) {
	w.t.Helper()
	worker = deadletter.NewWorker(w.Store, handle, w.log)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(w.t, err)
		case <-time.After(30 * time.Second):
			require.FailNow(w.t, "the worker did not stop")
		}
	})
	w.t.Cleanup(stop)
	return worker, stop
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)

// record is the n-th record of a topic.
func record(n int64) messages.Record {
	return messages.Record{Topic: "things", Partition: 1, Offset: n, Time: at.Add(time.Duration(n) * time.Millisecond), Key: []byte("k"), Value: []byte(`{"n":1}`),
		Headers: []messages.Header{{Key: "ce_id", Value: []byte("a")}}}
}

// park parks the n-th record and returns the letter's id.
func (w *world) park(n int64) int64 {
	w.t.Helper()
	require.NoError(w.t, w.Park(w.t.Context(), record(n), "not_json", "no JSON at all", ""))
	letters, err := w.List(w.t.Context(), deadletter.Filter{Limit: 1000})
	require.NoError(w.t, err)
	for _, l := range letters {
		if l.Record.Offset == n {
			return l.ID
		}
	}
	require.FailNow(w.t, "not parked")
	return 0
}

// newest returns the id of the letter that was parked last.
func (w *world) newest() (id int64) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT max(id) FROM dead_letters`).Scan(&id))
	return id
}

func (w *world) letter(id int64) deadletter.Letter {
	w.t.Helper()
	l, err := w.Get(w.t.Context(), id)
	require.NoError(w.t, err)
	return l
}

// becomes waits until the letter is in the state.
func (w *world) becomes(id int64, state string) deadletter.Letter {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.letter(id).State == state }, 30*time.Second, 5*time.Millisecond, state)
	return w.letter(id)
}

// do asks the admin API, expects the status and returns the document.
func (w *world) do(method, path string, status int) map[string]any {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.admin.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	require.Equal(w.t, status, rec.Code, "%s %s: %s", method, path, rec.Body)
	if status >= 400 {
		require.Equal(w.t, "application/problem+json", rec.Header().Get("Content-Type"))
	}
	var document map[string]any
	require.NoError(w.t, json.NewDecoder(strings.NewReader(rec.Body.String())).Decode(&document))
	return document
}

// locked is a buffer for several goroutines.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
