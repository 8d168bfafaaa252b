package run

import (
	"errors"
	"math"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/stretchr/testify/require"
)

// It is about the whole process, so it does not run beside other tests.
func TestTheEnvironmentDecidesOnTheGarbageCollectorAndThenTheContainer(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	defer func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}()
	for name, c := range map[string]struct {
		environ   map[string]string
		container memlimit.Provider
		percent   int
		limit     int64
	}{
		"the environment wins":  {map[string]string{"GOGC": "100", "GOMEMLIMIT": "off"}, memlimit.Limit(512 << 20), 100, math.MaxInt64},
		"a container's limit":   {nil, memlimit.Limit(1000 << 20), GCPercent, 850 << 20},
		"a machine of its own":  {nil, func() (uint64, error) { return 0, memlimit.ErrNoLimit }, GCPercent, freeLimit},
		"cgroup v1, no limit":   {nil, memlimit.Limit(math.MaxInt64 - 4095), GCPercent, freeLimit},
		"a limit out of reach":  {nil, func() (uint64, error) { return 0, errors.New("no such file") }, GCPercent, freeLimit},
		"GOGC alone is set":     {map[string]string{"GOGC": "50"}, memlimit.Limit(400 << 20), 100, 340 << 20},
		"an empty GOMEMLIMIT":   {map[string]string{"GOMEMLIMIT": ""}, memlimit.Limit(400 << 20), GCPercent, 340 << 20},
		"no limit that is zero": {nil, memlimit.Limit(0), GCPercent, freeLimit},
	} {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
		require.Equal(t, c.limit, tuneGC(c.environ, c.container), name)
		require.Equal(t, c.percent, debug.SetGCPercent(100), name)
	}
}

func TestMemoryIsGivenBackOnceTheLoadIsOver(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	var c calm
	at := func(allocated, held uint64) bool { return c.over(memory{allocated: allocated * mib, held: held * mib}) }
	require.False(t, at(500, 200), "there is load")
	require.False(t, at(1500, 250), "there is load")
	require.True(t, at(1501, 250), "it is over")
	c.held = 40 * mib
	require.False(t, at(1502, 41), "nothing is gained")
	require.False(t, at(1505, 46), "little is gained")
	require.True(t, at(1509, 47), "a small load makes garbage too")
	require.True(t, c.over(memory{allocated: 1509 * mib, held: 40 * mib, idle: 7 * mib}), "stacks that ended lie idle")
}

func TestWhatGoHoldsIsRead(t *testing.T) {
	t.Parallel()
	m := readMemory()
	require.Positive(t, m.allocated)
	require.Greater(t, m.held, uint64(1<<20))
	require.Less(t, m.held, uint64(1<<40))
}
