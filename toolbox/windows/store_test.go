package windows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/toolbox/feed"
)

func (c counting) open(t *testing.T, job Job) (*Store, error) {
	t.Helper()
	store, err := OpenStore(t.Context(), c.connect, job, c.Kafka.TopicPrefix)
	if err == nil {
		t.Cleanup(store.Close)
	}
	return store, err
}

func TestOneProcessCountsForAJobAtATime(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	first, err := c.open(t, c.job())
	require.NoError(t, err)
	_, err = c.open(t, c.job())
	var busy *BusyError
	require.ErrorAs(t, err, &busy)
	other := c.job()
	other.Name = "other"
	_, err = c.open(t, other)
	require.NoError(t, err)
	first.Close()
	_, err = c.open(t, c.job())
	require.NoError(t, err)
}

func TestAJobKeepsItsTopicsSizeAndGrace(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	store, err := c.open(t, c.job())
	require.NoError(t, err)
	store.Close()
	for _, change := range []func(*Job){
		func(j *Job) { j.Size = time.Hour }, func(j *Job) { j.Grace = 0 }, func(j *Job) { j.Topics = []string{"x"} },
	} {
		job := c.job()
		change(&job)
		_, err := c.open(t, job)
		var different *DifferentJobError
		require.ErrorAs(t, err, &different)
	}
}

// TestAWriterThatLostItsLockNoticesTheOther: the lock ends with its connection, so another process may have gone on.
func TestAWriterThatLostItsLockNoticesTheOther(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	write := func(s *Store, next int64) error {
		b := newBatch()
		b.cells[key{0, "e", "USD"}] = counts{1, 0, 5}
		b.positions[partition{"web-events", 0}] = position{next, 1000}
		return s.apply(t.Context(), b)
	}
	first, err := c.open(t, c.job())
	require.NoError(t, err)
	require.NoError(t, write(first, 1))
	require.NoError(t, first.conn.Close(t.Context())) // as the network may
	second, err := c.open(t, c.job())
	require.NoError(t, err)
	require.NoError(t, write(second, 2))
	second.Close()
	require.ErrorIs(t, write(first, 3), errMoved)
	require.NoError(t, write(first, 2), "the same position, as after a COMMIT whose answer was lost")
	require.Equal(t, map[string]string{"1970-01-01T00:00:00Z e USD": "2 events, 0.10, 0 late"}, c.stored(t))
}

// A server that was demoted, or is read-only for a while, takes the counts later.
func TestAServerThatTakesNoWritesIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	want := c.traffic(t, 300, 1)
	store, err := c.open(t, c.job())
	require.NoError(t, err)
	_, err = store.conn.Exec(t.Context(), `SET default_transaction_read_only = on`)
	require.NoError(t, err)
	var notes []string
	cfg := c.config()
	cfg.Store, cfg.Note = store, func(text string) { notes = append(notes, text) }
	_, err = Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, want.rows, c.stored(t))
	require.Len(t, notes, 2)
	require.Contains(t, notes[0], "read-only transaction")
	require.Equal(t, "Postgres is back.", notes[1])
}

func TestANewJobBeginsWhereItBeganAlsoWhenItDiesBeforeItCounts(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	c.traffic(t, 300, 1)
	begin := func(ctx context.Context, follow bool) (Summary, error) {
		store, err := c.open(t, c.job())
		require.NoError(t, err)
		defer store.Close()
		cfg := c.config()
		cfg.Feed.Start, cfg.Feed.Follow, cfg.Store = feed.Start{}, follow, store
		return Run(ctx, cfg)
	}
	summary, err := begin(t.Context(), false) // begins at the end, where there is nothing
	require.NoError(t, err)
	require.Zero(t, summary.Read)
	want := c.traffic(t, 200, 2)
	summary, err = begin(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, want.Counters, summary.Counters)
	require.Equal(t, want.rows, c.stored(t))
}

func TestRecordsThatAreGoneAreSaidNotSkipped(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	c.traffic(t, 300, 1)
	_, err := c.run(t.Context())
	require.NoError(t, err)
	c.traffic(t, 300, 2)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Brokers...))
	require.NoError(t, err)
	defer client.Close()
	admin := kadm.NewClient(client)
	ends, err := admin.ListEndOffsets(t.Context(), c.Kafka.TopicPrefix+"web-events")
	require.NoError(t, err)
	deleted, err := admin.DeleteRecords(t.Context(), ends.Offsets())
	require.NoError(t, err)
	require.NoError(t, deleted.Error())
	_, err = c.run(t.Context())
	var gone *feed.GoneError
	require.ErrorAs(t, err, &gone)
}

func TestHistoryOfNothingSaysSo(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	_, _, err := history(t, c)
	var nothing *NothingStoredError
	require.ErrorAs(t, err, &nothing)
	require.Empty(t, nothing.Jobs)
	for _, name := range []string{"a", "b"} {
		job := c.job()
		job.Name = name
		_, err := c.open(t, job)
		require.NoError(t, err)
	}
	_, _, err = history(t, c)
	require.ErrorAs(t, err, &nothing)
	require.Equal(t, []string{"a", "b"}, nothing.Jobs)
}

// Windows end by the time of their events, so a job that stood still for a month deletes nothing that it has not shown.
func TestOldWindowsAreDeletedOnceOthersClose(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	store, err := c.open(t, c.job())
	require.NoError(t, err)
	_, err = store.conn.Exec(t.Context(), `INSERT INTO windows.counts (job, window_start, event, currency, count, sum, late)
		SELECT 'test', 'epoch'::timestamptz + n * interval '1 minute', 'e', '', 1, 0, 0 FROM generate_series(0, 99) AS n`)
	require.NoError(t, err)
	left := func() (n int) {
		require.NoError(t, store.conn.QueryRow(t.Context(), `SELECT count(*) FROM windows.counts`).Scan(&n))
		return n
	}
	require.NoError(t, store.markShown(t.Context(), (100*time.Minute).Milliseconds()))
	require.Equal(t, 100, left(), "for ever")
	store.Keep = 30 * time.Minute
	require.NoError(t, store.markShown(t.Context(), (100*time.Minute).Milliseconds()))
	require.Equal(t, 30, left())
}
