package windows

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slowly makes each write of offsets take a few milliseconds, so that a kill at random hits a transaction often enough.
func (c counting) slowly(t *testing.T) {
	t.Helper()
	store, err := OpenStore(t.Context(), c.connect, c.job(), c.Kafka.TopicPrefix)
	require.NoError(t, err)
	defer store.Close()
	_, err = store.conn.Exec(t.Context(), `
		CREATE FUNCTION windows.slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.003); RETURN NULL; END $$;
		CREATE TRIGGER slowly AFTER INSERT OR UPDATE ON windows.offsets FOR EACH STATEMENT EXECUTE FUNCTION windows.slowly()`)
	require.NoError(t, err)
}

// progress returns how many records are counted.
func (c counting) progress(t *testing.T) int64 {
	t.Helper()
	conn, err := c.connect(t.Context())
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var sum int64
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT coalesce(sum(next_offset), 0)::bigint FROM windows.offsets`).Scan(&sum))
	return sum
}

// TestKilledAtAnyMomentNothingIsLostOrDoubled kills a counting process again and again, without warning.
func TestKilledAtAnyMomentNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events", "payments")
	const records = 6_000
	want := c.traffic(t, records, 1)
	c.slowly(t)
	c.Follow = true
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	kills := 0
	for at := c.progress(t); at < records; at = c.progress(t) {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childVariable+"="+string(encoded))
		child.Stderr = os.Stderr
		require.NoError(t, child.Start())
		// Any moment, from before it has connected; it must get somewhere on a slow machine, too.
		started := time.Now()
		pause := time.Duration(rand.Int64N(int64(200 * time.Millisecond)))
		require.Eventually(t, func() bool {
			return time.Since(started) > pause && (kills%2 == 0 || c.progress(t) > at)
		}, time.Minute, time.Millisecond)
		require.NoError(t, child.Process.Kill())
		_ = child.Wait()
		kills++
	}
	t.Logf("%d kills", kills)
	require.Greater(t, kills, 2)
	require.EqualValues(t, records, c.progress(t))
	require.Equal(t, want.rows, c.stored(t))

	c.Follow = false
	summary, err := c.run(t.Context())
	require.NoError(t, err)
	require.Zero(t, summary.Read, "everything is counted")
}

// TestAConnectionThatBreaksAtAnyMomentChangesNoCount also breaks it during COMMIT, whose outcome is unknown then.
func TestAConnectionThatBreaksAtAnyMomentChangesNoCount(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	want := c.traffic(t, 3_000, 2)
	c.slowly(t)
	ctx, cancel := context.WithCancel(t.Context())
	broken := make(chan int, 1)
	go func() {
		count := 0
		defer func() { broken <- count }()
		conn, err := c.connect(ctx)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		for ctx.Err() == nil {
			const cut = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity, pg_sleep($1)
				WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`
			var cuts int
			if conn.QueryRow(ctx, cut, rand.Float64()*0.1).Scan(&cuts) == nil {
				count += cuts
			}
		}
	}()
	var summary Summary
	for {
		var err error
		if summary, err = c.run(t.Context()); err == nil {
			break
		}
		require.NoError(t, t.Context().Err()) // cut while it was opening the store: another try
	}
	cancel()
	require.Positive(t, <-broken)
	require.Equal(t, want.rows, c.stored(t))
	require.LessOrEqual(t, summary.Counted, want.Counted)
}

// TestInterruptedAndStartedAgainItGoesOn: Ctrl-C stores what was counted, and what is open is on the board again.
func TestInterruptedAndStartedAgainItGoesOn(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	want := c.traffic(t, 3_000, 3)
	var total Counters
	shown := map[time.Time]Window{} // as it was shown last
	c.Follow = true
	for total.Read < want.Read {
		ctx, cancel := context.WithCancel(t.Context())
		store, err := OpenStore(ctx, c.connect, c.job(), c.Kafka.TopicPrefix)
		require.NoError(t, err)
		cfg := c.config()
		cfg.Store = store
		cfg.Note = func(text string) { t.Error(text) }
		cfg.Show = func(w Window) { shown[w.Start] = w }
		cfg.Live = func(s Snapshot) {
			if s.Counters.Read > 500 || total.Read+s.Counters.Read == want.Read {
				cancel()
			}
		}
		summary, err := Run(ctx, cfg)
		require.NoError(t, err)
		total.add(summary.Counters)
		require.NotEmpty(t, summary.Open)
		for _, w := range summary.Open {
			shown[w.Start] = w
		}
		store.Close()
		cancel()
	}
	require.Equal(t, want.Counters, total)
	require.Equal(t, want.rows, c.stored(t))

	_, list, err := history(t, c)
	require.NoError(t, err)
	var counted, late int64
	for _, w := range list {
		require.Equal(t, w.Count, shown[w.Start].Count, "it is shown whole at last")
		require.Equal(t, w.Open, shown[w.Start].Open)
		counted += w.Count
		late += w.Late
	}
	require.Equal(t, want.Counted, counted)
	require.Equal(t, want.Late, late)
	require.True(t, list[len(list)-1].Open)
	require.False(t, list[0].Open)
}

func history(t *testing.T, c counting) (Job, []Window, error) {
	t.Helper()
	conn, err := c.connect(t.Context())
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	return History(t.Context(), conn, "", time.Time{}, 100)
}
