package outbox

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
)

// restoreSQL does to the table what pg_restore --clean does: the rows keep numbers and transactions of where they come from.
const restoreSQL = `
CREATE TEMP TABLE dump AS SELECT * FROM outbox;
DROP TABLE outbox CASCADE;` + outboxDDL + `
INSERT INTO outbox OVERRIDING SYSTEM VALUE SELECT 30784 + id, '9223372036854775000'::xid8, topic, key, value, headers, created_at FROM dump;
DROP TABLE dump;`

func TestRowsThatARestoreBringsUnderARunningServiceArePublished(t *testing.T) {
	t.Parallel()
	for name, numbers := range map[string]string{
		"with the sequence":                    `SELECT setval('outbox_id_seq', 40000)`,
		"without it, as replication leaves it": `SELECT 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			r := w.relay(recoverAtOnce)
			for i := range 3 {
				w.add("o", i)
			}
			conn, err := w.connect().Acquire(t.Context())
			require.NoError(t, err)
			defer conn.Release()
			_, err = conn.Exec(t.Context(), `CREATE TABLE kept AS SELECT * FROM outbox`)
			require.NoError(t, err)
			w.run(r)
			w.done(3)
			w.kafka.forget()
			_, err = conn.Exec(t.Context(), `BEGIN; INSERT INTO outbox OVERRIDING SYSTEM VALUE SELECT * FROM kept;`+restoreSQL+numbers+`; COMMIT`)
			require.NoError(t, err)
			w.done(3)
			w.add("new", 1) // its number is nobody else's
			w.done(4)
		})
	}
}

func TestRowsBehindTheSequenceAreTakenOverAndTold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var log lines
	s := newSweeper(w.relay(recoverAtOnce, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }))
	w.add("o", 1)
	_, err := w.pool.Exec(t.Context(), `SELECT setval('outbox_id_seq', 1, false)`)
	require.NoError(t, err)
	w.sweepUntil(s, "o", 1)
	require.Contains(t, log.String(), "took over messages in the outbox that a restore or replication inserted")
}

func TestASequenceThatWentBackIsNoticed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := newSweeper(w.relay(recoverAtOnce))
	for i := range 5 {
		w.add("o", i)
	}
	w.sweepUntil(s, "o", 5)
	w.sweep(s)
	require.EqualValues(t, 5, s.cursor)
	_, err := w.pool.Exec(t.Context(), `SELECT setval('outbox_id_seq', 2)`)
	require.NoError(t, err)
	w.add("again", 1)
	w.sweep(s)
	w.sweep(s)
	require.Zero(t, w.left())
}

// Rows with numbers that were given out long ago: nothing in the sequence tells of them.
func TestRowsWithOldNumbersAreFoundLater(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := newSweeper(w.relay(recoverAtOnce))
	for i := range 5 {
		w.add("o", i)
	}
	w.sweepUntil(s, "o", 5)
	require.NotZero(t, s.cursor)
	_, err := w.pool.Exec(t.Context(), `WITH late AS (INSERT INTO outbox (topic, key, value, headers) VALUES ('orders', 'k', '', '[]') RETURNING *)
		INSERT INTO outbox OVERRIDING SYSTEM VALUE SELECT 2, xid, topic, key, value, headers, created_at FROM late`)
	require.NoError(t, err)
	w.sweep(s)
	w.sweep(s)
	require.Equal(t, 1, w.left())
	s.atAll = s.atAll.Add(-readAllEvery)
	w.sweep(s)
	require.Zero(t, w.left())
}

func TestOneStuckRowDoesNotCountAsAStuckOutbox(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.relay()
	w.add("o", 1)
	stuck := func() bool {
		t.Helper()
		since, err := r.Stuck(t.Context())
		require.NoError(t, err)
		return !since.IsZero()
	}
	require.True(t, stuck(), "nothing was tried yet")
	require.NoError(t, r.try(t.Context(), []Row{w.add("other", 1)}))
	require.False(t, stuck())
	w.kafka.set(true)
	require.Error(t, r.try(t.Context(), []Row{w.add("other", 2)}))
	require.True(t, stuck())
}

// lines is a log that may be written and read at once.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// Until recovery has moved the sequence, an id may be taken.
func TestAMessageWhoseIDIsTakenSaysSo(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.add("o", 1)
	_, err := w.pool.Exec(t.Context(), `SELECT setval('outbox_id_seq', 1, false)`)
	require.NoError(t, err)
	var batch pgx.Batch
	require.NoError(t, Add(&batch, func([]Row) {}, note("o", 2)))
	err = w.pool.SendBatch(t.Context(), &batch).Close()
	require.ErrorAs(t, err, new(*pgdb.SequenceError))
	require.True(t, pgdb.IsUnavailable(err), "a client may try again")
}
