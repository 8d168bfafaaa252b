package app

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// line is a pipeline with a queue: it takes what is asked for as the backlog lets it, and ends a number of orders a second.
type line struct {
	b     *backlog
	now   time.Time
	queue []time.Time // when each was taken
}

// second lets a second pass, and returns how many of the orders that were asked for are taken.
func (l *line) second(asked, ends int) (taken int) {
	const steps = 50
	for range steps {
		l.now = l.now.Add(time.Second / steps)
		for range asked / steps {
			if l.b.take(l.now) {
				l.queue = append(l.queue, l.now)
				taken++
			}
		}
		for range min(ends/steps, len(l.queue)) {
			l.b.end(l.now, l.now.Sub(l.queue[0]))
			l.queue = l.queue[1:]
		}
	}
	return taken
}

func newLine(within time.Duration) *line {
	return &line{b: newBacklog(within, slog.New(slog.DiscardHandler)), now: time.Unix(1_800_000_000, 0)}
}

// A crowd of five minutes that asks for five times what gets done leaves no order that waits for more than a minute.
func TestACrowdLeavesNoOrderThatWaitsForMinutes(t *testing.T) {
	t.Parallel()
	const ends = 300
	l := newLine(10 * time.Second)
	taken, most := 0, 0
	for range 300 {
		taken += l.second(5*ends, ends)
		most = max(most, len(l.queue))
	}
	t.Logf("at most %d orders waited, %d in the end, of %d taken", most, len(l.queue), taken)
	require.Less(t, most, 70*ends)
	require.Less(t, len(l.queue), 30*ends)
	require.Greater(t, taken, 300*ends*3/4, "what the system can do is taken")
	more := 0
	for ; more < 2*ends && l.b.take(l.now); more++ {
	}
	require.Less(t, more, 2*ends)
	after, full := l.b.full(l.now)
	require.True(t, full)
	require.Positive(t, after)
	for range 60 {
		l.second(0, ends)
	}
	require.Empty(t, l.queue)
	require.Equal(t, ends/2, l.second(ends/2, ends), "it takes everything again")
}

// A flood takes the processors that orders need to reach their end: by its end rate alone the system would stand for seconds.
func TestTheFirstRefusalsLeaveTheTrafficThatTheSystemCanDo(t *testing.T) {
	t.Parallel()
	const asked, can, floor = 4000, 1400, 100
	l := newLine(10 * time.Second)
	taken := asked
	for second := range 120 {
		taken = l.second(asked, max(floor, can-taken/3))
		require.Greater(t, taken, asked/10, "in second %d", second)
	}
	require.Less(t, len(l.queue), 30*can)
}

// In a crowd that takes all processors some seconds end no order. The limit outlasts them, and ends with a real outage.
func TestALimitOutlastsASecondWithoutEnds(t *testing.T) {
	t.Parallel()
	const asked, ends = 1500, 300
	l := newLine(10 * time.Second)
	for range 60 {
		l.second(asked, ends)
	}
	for range 3 {
		require.Less(t, l.second(asked, 0), asked/2)
	}
	for range backlogWindow {
		l.second(asked, 0)
	}
	require.Equal(t, asked, l.second(asked, 0), "nothing ends: that is no crowd")
}

// While no order reaches its end, every order is taken. What piled up in an outage is worked off while customers order on.
func TestAnOutageIsNoCrowd(t *testing.T) {
	t.Parallel()
	const asked, ends = 150, 500
	l := newLine(10 * time.Second)
	for range 600 {
		require.Equal(t, asked, l.second(asked, 0))
	}
	for len(l.queue) > 0 {
		require.Equal(t, asked, l.second(asked, ends))
	}
}

// Orders that wait by nature, because a payment takes long, are no crowd: few wait.
func TestASlowPaymentIsNoCrowd(t *testing.T) {
	t.Parallel()
	l := newLine(10 * time.Second)
	for range 40 {
		l.second(100, 0)
	}
	for range 300 {
		require.Equal(t, 100, l.second(100, 100), "each waits for 40 s")
	}
}

// A replica that ends fewer orders than it takes, because others read more of the partitions, takes everything again after a
// crowd.
func TestAReplicaThatEndsFewOrdersTakesAllAgain(t *testing.T) {
	t.Parallel()
	const ends, asked = 300, 250
	l := newLine(10 * time.Second)
	for range 60 {
		l.second(5*ends, ends)
	}
	taken := 0
	for range 90 { // the crowd is over, and its orders end elsewhere
		l.now = l.now.Add(time.Second)
		taken = 0
		for i := range asked {
			if l.b.take(l.now) {
				taken++
			}
			if i%3 == 0 {
				l.b.end(l.now, 50*time.Millisecond)
			}
		}
	}
	require.Equal(t, asked, taken)
}

// One order that was stuck for a day is no crowd, nor does a limit of 0 refuse anything.
func TestWhatRefusesNothing(t *testing.T) {
	t.Parallel()
	l := newLine(10 * time.Second)
	for range 20 {
		require.Equal(t, 100, l.second(100, 100))
		l.b.end(l.now, 24*time.Hour)
	}
	never := newLine(0)
	for range 100 {
		require.Equal(t, 1500, never.second(1500, 300))
	}
}
