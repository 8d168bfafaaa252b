package feed

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// inflating is a producer that compresses its batches, so that large records are small on the wire.
func inflating(t *testing.T, cfg Config) *kgo.Client {
	t.Helper()
	return client(t, cfg, kgo.BrokerMaxWriteBytes(512<<20), kgo.ProducerBatchMaxBytes(256<<20),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()))
}

// peak runs do and returns by how many bytes the heap grew meanwhile, at the most that was seen. The collector works against
// a limit, so that garbage is not counted.
func peak(do func()) int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(before) + 64<<20))
	ended, looked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(looked)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	do()
	close(ended)
	<-looked
	return int64(most) - int64(before)
}

// TestABatchThatInflatesTooFarIsPassedOver: alone and in a group, and what stands behind it is read.
func TestABatchThatInflatesTooFarIsPassedOver(t *testing.T) {
	for _, group := range []string{"", "watchers"} {
		t.Run("group "+group, func(t *testing.T) {
			cfg := setup(t)
			write(t, client(t, cfg), cfg, 0, "before")
			write(t, inflating(t, cfg), cfg, 0, strings.Repeat("x", 150<<20))
			write(t, client(t, cfg), cfg, 0, "behind")
			if group != "" {
				cfg.Group, cfg.Follow = group, true
				cfg.Kafka.GroupPrefix = cfg.Kafka.TopicPrefix
			}
			cfg.Start.Beginning = true
			var passed []string
			cfg.PassOver = func(p Passed) { passed = append(passed, p.String()) }
			var values []string
			grown := peak(func() {
				f := open(t, cfg)
				values = all(t, f, 2)
			})
			require.Equal(t, []string{"before", "behind"}, values)
			require.Equal(t, []string{"events/0@1 is skipped: it inflates to more than 2 MiB"}, passed)
			require.Less(t, grown, int64(64<<20))
		})
	}
}

// TestABatchThatInflatesTooFarMayBeTheLast: reading to the end ends.
func TestABatchThatInflatesTooFarMayBeTheLast(t *testing.T) {
	cfg := setup(t)
	write(t, client(t, cfg), cfg, 0, "before")
	write(t, inflating(t, cfg), cfg, 0, strings.Repeat("x", 5<<20))
	cfg.Start.Beginning = true
	require.Equal(t, []string{"before"}, all(t, open(t, cfg), 10))
}

// TestManyBatchesThatEachInflateALittleAreReadOneAfterTheOther: one response would have all of them at once.
func TestManyBatchesThatEachInflateALittleAreReadOneAfterTheOther(t *testing.T) {
	const batches = 400
	cfg := setup(t)
	writer := inflating(t, cfg)
	value := strings.Repeat("x", 3<<19)
	for range batches {
		write(t, writer, cfg, 0, value)
	}
	cfg.Start.Beginning = true
	cfg.Most = 1
	read := 0
	grown := peak(func() {
		f := open(t, cfg)
		for read < batches {
			records, err := f.Poll(t.Context())
			require.NoError(t, err)
			read += len(records)
		}
	})
	require.Less(t, grown, int64(150<<20), "all of them are 600 MB")
}
