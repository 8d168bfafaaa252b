package run

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// It is about the whole process, so it does not run beside other tests.
func TestTheEnvironmentDecidesOnTheGarbageCollectorIfItSaysAnything(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	defer func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}()
	set := func() (int, int64) { return debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64) }

	tuneGC(map[string]string{"GOGC": "100", "GOMEMLIMIT": "off"})
	percentNow, limitNow := set()
	require.Equal(t, 100, percentNow)
	require.Equal(t, int64(math.MaxInt64), limitNow)

	tuneGC(nil)
	percentNow, limitNow = set()
	require.Equal(t, GCPercent, percentNow)
	require.Equal(t, int64(memoryLimit), limitNow)
}
