package windows

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// write writes an event to a partition of the first topic for each minute given.
func (c counting) write(t *testing.T, partition int32, minutes ...int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer client.Close()
	for _, minute := range minutes {
		value := fmt.Appendf(nil, `{"event":"e","timestamp":%d}`, 1_700_000_040+60*minute)
		r := &kgo.Record{Topic: c.Kafka.TopicPrefix + c.Topics[0], Partition: partition, Value: value}
		require.NoError(t, client.ProduceSync(t.Context(), r).FirstErr())
	}
}

// until counts until so many records are read, then ends as Ctrl-C does. It returns how each minute's window was shown.
func (c counting) until(t *testing.T, records int64) map[int]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	store, err := OpenStore(ctx, c.connect, c.job(), c.Kafka.TopicPrefix)
	require.NoError(t, err)
	defer store.Close()
	shown := map[int]string{}
	show := func(w Window) {
		minute := int(w.Start.Unix()-1_700_000_040) / 60
		require.Empty(t, shown[minute], "shown twice in one run")
		shown[minute] = fmt.Sprint(w.Count)
		for what, so := range map[string]bool{" open": w.Open, " corrected": w.Corrected, " added": w.Added} {
			if so {
				shown[minute] += what
			}
		}
	}
	cfg := c.config()
	cfg.Store, cfg.Show = store, show
	cfg.Feed.Follow = true
	cfg.Live = func(s Snapshot) {
		if s.Counters.Read >= records {
			cancel()
		}
	}
	summary, err := Run(ctx, cfg)
	require.NoError(t, err)
	require.Equal(t, records, summary.Read)
	for _, w := range summary.Open {
		show(w)
	}
	return shown
}

// TestAfterARestartAWindowIsShownWholeAndNotTwice: a partition from which nothing was read yet holds every window back, so
// none was shown as closed when the first run ends, whatever the others' watermarks say.
func TestAfterARestartAWindowIsShownWholeAndNotTwice(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	c.write(t, 0, 0, 0, 1, 5)
	require.Equal(t, map[int]string{0: "2 open", 1: "1 open", 5: "1 open"}, c.until(t, 4))
	c.write(t, 1, 0, 1, 1)
	require.Equal(t, map[int]string{0: "3 open", 1: "3 open", 5: "1 open"}, c.until(t, 3))
	c.write(t, 1, 4)
	c.write(t, 2, 0, 4)
	require.Equal(t, map[int]string{0: "4", 1: "3", 4: "2 open", 5: "1 open"}, c.until(t, 3))
	c.write(t, 2, 4)
	require.Equal(t, map[int]string{4: "3 open", 5: "1 open"}, c.until(t, 1), "what was shown as closed is not shown again")
}

// TestWhatIsOverByTheClockIsNotShownAgainAfterARestart: a partition without any event holds nothing back once it is idle.
func TestWhatIsOverByTheClockIsNotShownAgainAfterARestart(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	c.write(t, 0, 0, 5)
	shown := func() []Window {
		store, err := c.open(t, c.job())
		require.NoError(t, err)
		defer store.Close()
		var shown []Window
		cfg := c.config() // at the end of what there is, every partition is idle
		cfg.Store, cfg.Show = store, func(w Window) { shown = append(shown, w) }
		_, err = Run(t.Context(), cfg)
		require.NoError(t, err)
		return shown
	}
	require.Len(t, shown(), 2)
	_, list, err := history(t, c)
	require.NoError(t, err)
	require.False(t, list[1].Open)
	require.Empty(t, shown())
	c.write(t, 1, 0)
	again := shown()
	require.Len(t, again, 1)
	require.True(t, again[0].Corrected)
	require.EqualValues(t, 2, again[0].Count)
}

// TestAWindowThatIsForgottenIsShownWholeWhenSomethingComes also after it left the memory of the process.
func TestAWindowThatIsForgottenIsShownWholeWhenSomethingComes(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	minutes := make([]int, kept+20)
	for i := range minutes {
		minutes[i] = i
	}
	c.write(t, 0, minutes...)
	_, err := c.run(t.Context())
	require.NoError(t, err)
	c.write(t, 1, 3, 3)
	require.Equal(t, "3 corrected", c.until(t, 2)[3])
}

// TestAProcessThatDiedBeforeItShowedAWindowLeavesThatToTheNext: counts are stored first.
func TestAProcessThatDiedBeforeItShowedAWindowLeavesThatToTheNext(t *testing.T) {
	t.Parallel()
	c := setup(t, "web-events")
	for partition := range int32(3) {
		c.write(t, partition, 0, 2)
	}
	require.Equal(t, map[int]string{0: "3", 2: "3 open"}, c.until(t, 6))

	store, err := c.open(t, c.job())
	require.NoError(t, err)
	late := newBatch()
	late.cells[key{1_700_000_040_000, "e", ""}] = counts{0, 1, 0}
	require.NoError(t, store.apply(t.Context(), late))
	store.Close()
	require.Equal(t, map[int]string{2: "3 open"}, c.until(t, 0), "late events are no correction")

	store, err = c.open(t, c.job())
	require.NoError(t, err)
	more := newBatch()
	more.cells[key{1_700_000_040_000, "e", ""}] = counts{1, 0, 0}
	more.positions[partition{"web-events", 0}] = position{2, 1_700_000_160_001}
	require.NoError(t, store.apply(t.Context(), more))
	store.Close() // and dies here
	require.Equal(t, map[int]string{0: "4", 2: "3 open"}, c.until(t, 0))
	require.Equal(t, map[int]string{2: "3 open"}, c.until(t, 0))
}
