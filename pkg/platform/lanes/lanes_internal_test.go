package lanes

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// fakeSession remembers the newest offset that was marked, as sarama does.
type fakeSession struct {
	sarama.ConsumerGroupSession
	ctx context.Context

	mu     sync.Mutex
	marked int64
}

func (s *fakeSession) Context() context.Context { return s.ctx }

func (s *fakeSession) MarkMessage(m *sarama.ConsumerMessage, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marked = max(s.marked, m.Offset+1)
}

func (s *fakeSession) upTo() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marked
}

type fakeClaim struct {
	sarama.ConsumerGroupClaim
	messages chan *sarama.ConsumerMessage
}

func (c fakeClaim) Messages() <-chan *sarama.ConsumerMessage { return c.messages }

func record(offset int64, key string) *sarama.ConsumerMessage {
	return &sarama.ConsumerMessage{Topic: "t", Offset: offset, Key: []byte(key)}
}

// Whatever the order in which messages are finished, the mark never passes an unfinished one, and ends behind the last.
func TestTheMarkNeverPassesAnUnfinishedMessage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 40).Draw(t, "size")
		w := newWindow(bounds{messages: size, bytes: 1 << 20})
		offset, marked := int64(0), int64(-1)
		var open []*sarama.ConsumerMessage
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if m := record(offset+int64(rapid.IntRange(1, 5).Draw(t, "gap")), ""); rapid.Bool().Draw(t, "begin") && w.take(m) {
				offset = m.Offset
				open = append(open, m)
				if len(w.slots) > size {
					t.Fatalf("%d messages are taken up", len(w.slots))
				}
			} else if len(open) > 0 {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				if last := w.finish(open[i]); last != nil {
					if last.Offset <= marked {
						t.Fatalf("marked %d after %d", last.Offset, marked)
					}
					marked = last.Offset
				}
				open = slices.Delete(open, i, i+1)
			}
			for _, m := range open {
				if m.Offset <= marked {
					t.Fatalf("%d is marked and %d unfinished", marked, m.Offset)
				}
			}
		}
		for _, m := range open {
			if last := w.finish(m); last != nil {
				marked = last.Offset
			}
		}
		if marked != offset && offset > 0 {
			t.Fatalf("marked %d in the end, not %d", marked, offset)
		}
		if w.bytes != 0 || len(w.slots) != 0 {
			t.Fatalf("%d slots are kept for nothing, and %d bytes", len(w.slots), w.bytes)
		}
	})
}

func TestTheWindowIsBoundedInBytesToo(t *testing.T) {
	t.Parallel()
	w := newWindow(bounds{messages: 100, bytes: 1000})
	large := &sarama.ConsumerMessage{Offset: 1, Value: make([]byte, 5000)}
	require.True(t, w.take(large), "a message of any size fits into an empty window")
	small := &sarama.ConsumerMessage{Offset: 2, Key: make([]byte, 100), Value: make([]byte, 400)}
	require.False(t, w.take(small))
	require.Equal(t, large, w.finish(large))
	require.True(t, w.take(small))
	half := &sarama.ConsumerMessage{Offset: 3, Value: make([]byte, 500)}
	require.True(t, w.take(half))
	next := &sarama.ConsumerMessage{Offset: 4, Value: []byte("1")}
	require.False(t, w.take(next))
	require.Nil(t, w.finish(half))
	require.False(t, w.take(next), "what waits for one before it still counts")

	synctest.Test(t, func(t *testing.T) {
		w := newWindow(bounds{messages: 1, bytes: 1000})
		ended := make(chan struct{})
		require.True(t, w.begin(small, ended))
		taken := make(chan bool)
		go func() { taken <- w.begin(half, ended) }()
		synctest.Wait()
		w.finish(small)
		require.True(t, <-taken, "it is taken up when there is room")
		go func() { taken <- w.begin(next, ended) }()
		synctest.Wait()
		close(ended)
		require.False(t, <-taken)
	})
}

// One lane that stands still does not hold up the others, as long as it has room for what comes.
func TestAFullLaneHoldsUpThePartition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := keysOfTwoLanes(t, 8)
		l := startLanes(t, 8, 1000, a, b)
		close(l.tickets[b])
		go func() {
			for offset := range int64(2 * queuePerLane) {
				select {
				case l.claim.messages <- record(offset, a):
				case <-l.session.ctx.Done():
					return
				}
			}
			l.claim.messages <- record(2*queuePerLane, b)
		}()
		synctest.Wait()
		require.Equal(t, []int64{0}, l.taken())
		for range 2 * queuePerLane {
			l.tickets[a] <- struct{}{}
		}
		synctest.Wait()
		require.Len(t, l.taken(), 2*queuePerLane+1)
		require.Equal(t, int64(2*queuePerLane+1), l.session.upTo())
		l.cancel()
		require.NoError(t, <-l.done)
	})
}

// lanesUnderTest splits messages among lanes whose consumer waits for a ticket of the message's key.
type lanesUnderTest struct {
	session *fakeSession
	claim   fakeClaim
	cancel  context.CancelFunc
	done    chan error

	mu      sync.Mutex
	begun   []int64
	running int // lanes
	tickets map[string]chan struct{}
}

func startLanes(t *testing.T, lanes, window int, keys ...string) *lanesUnderTest {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &lanesUnderTest{session: &fakeSession{ctx: ctx}, claim: fakeClaim{messages: make(chan *sarama.ConsumerMessage)},
		cancel: cancel, done: make(chan error, 1), tickets: map[string]chan struct{}{}}
	for _, key := range keys {
		l.tickets[key] = make(chan struct{}, 10_000)
	}
	c := newClaims("", newGate(), newFailures())
	c.lanes = lanes
	consume := func(session sarama.ConsumerGroupSession, sc sarama.ConsumerGroupClaim) error {
		l.runs(1)
		defer l.runs(-1)
		for m := range sc.Messages() {
			l.mu.Lock()
			l.begun = append(l.begun, m.Offset)
			l.mu.Unlock()
			select {
			case <-l.tickets[string(m.Key)]:
				session.MarkMessage(m, "")
			case <-ctx.Done():
				return nil
			}
		}
		return nil
	}
	size := bounds{messages: window, bytes: 1 << 20}
	go func() { l.done <- split(l.session, l.claim, size, c.newLanes(ctx), consume) }()
	return l
}

// runs notes that so many lanes more run, and returns how many do.
func (l *lanesUnderTest) runs(more int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running += more
	return l.running
}

func (l *lanesUnderTest) taken() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.begun)
}

// keysOfTwoLanes returns two keys that fall on different lanes.
func keysOfTwoLanes(t *testing.T, lanes int) (a, b string) {
	t.Helper()
	a = "a"
	for i := range 1000 {
		b = fmt.Sprintf("b%d", i)
		if laneOf(record(0, a), lanes) != laneOf(record(0, b), lanes) {
			return a, b
		}
	}
	t.Fatal("every key falls on the same lane")
	return "", ""
}

func TestOneKeyStaysInSequenceWhileOthersPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := keysOfTwoLanes(t, 8)
		l := startLanes(t, 8, 100, a, b)
		for offset, key := range []string{a, a, b, b} {
			l.claim.messages <- record(int64(offset), key)
		}
		synctest.Wait()
		require.ElementsMatch(t, []int64{0, 2}, l.taken(), "one message of each key")

		l.tickets[b] <- struct{}{}
		l.tickets[b] <- struct{}{}
		synctest.Wait()
		require.ElementsMatch(t, []int64{0, 2, 3}, l.taken())
		require.Zero(t, l.session.upTo(), "offset 0 is not finished")

		l.tickets[a] <- struct{}{}
		synctest.Wait()
		require.Equal(t, int64(1), l.session.upTo(), "offset 1 is not finished")
		l.tickets[a] <- struct{}{}
		synctest.Wait()
		require.Equal(t, int64(4), l.session.upTo())
		l.cancel()
		require.NoError(t, <-l.done)
	})
}

// A lane without a message costs nothing. One with an unfinished message goes on, and what is queued behind it keeps its turn.
func TestLanesEndThatHaveNothingToDo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := keysOfTwoLanes(t, 8)
		l := startLanes(t, 8, 100, a, b)
		for offset, key := range []string{a, a, b} {
			l.claim.messages <- record(int64(offset), key)
		}
		l.tickets[b] <- struct{}{}
		<-time.After(2*laneRest + time.Second) // of a clock that jumps
		synctest.Wait()
		require.Equal(t, 1, l.runs(0), "the lane of the unfinished message")

		l.claim.messages <- record(3, b)
		l.claim.messages <- record(4, a)
		l.tickets[b] <- struct{}{}
		synctest.Wait()
		require.Equal(t, 2, l.runs(0), "a message starts its lane again")
		require.ElementsMatch(t, []int64{0, 2, 3}, l.taken())
		for range 3 {
			l.tickets[a] <- struct{}{}
		}
		synctest.Wait()
		require.Equal(t, int64(5), l.session.upTo())
		require.Less(t, slices.Index(l.taken(), 1), slices.Index(l.taken(), 4))
		<-time.After(2*laneRest + time.Second)
		synctest.Wait()
		require.Zero(t, l.runs(0))
		l.cancel()
		require.NoError(t, <-l.done)
	})
}

func TestTheWindowBoundsWhatIsTakenUpBehindAnUnfinishedMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := keysOfTwoLanes(t, 8)
		l := startLanes(t, 8, 10, a, b)
		close(l.tickets[b])
		go func() {
			for offset := range int64(30) {
				key := b
				if offset == 0 {
					key = a
				}
				select {
				case l.claim.messages <- record(offset, key):
				case <-l.session.ctx.Done():
					return
				}
			}
		}()
		synctest.Wait()
		require.Len(t, l.taken(), 10)
		l.tickets[a] <- struct{}{}
		synctest.Wait()
		require.Len(t, l.taken(), 30)
		require.Equal(t, int64(30), l.session.upTo())
		l.cancel()
		require.NoError(t, <-l.done)
	})
}

func TestTheEndOfASessionLeavesWhatIsQueuedToTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := startLanes(t, 8, 100, "a")
		for offset := range int64(20) {
			l.claim.messages <- record(offset, "a")
		}
		l.tickets["a"] <- struct{}{}
		synctest.Wait()
		l.cancel()
		require.NoError(t, <-l.done)
		require.Equal(t, []int64{0, 1}, l.taken())
		require.Equal(t, int64(1), l.session.upTo())
	})
}

// A partition's keys, which share a remainder of the partitioner's hash, are spread over all lanes.
func TestKeysOfOnePartitionSpreadOverTheLanes(t *testing.T) {
	t.Parallel()
	p := sarama.NewMurmur2Partitioner("orders")
	used := map[int]int{}
	of := 0
	for i := range 20_000 {
		key := fmt.Sprintf("0194e2a0-%04x-7000-8000-%012x", i%7919, i)
		partition, err := p.Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(key)}, 6)
		require.NoError(t, err)
		if partition == 0 {
			used[laneOf(record(int64(i), key), lanesPerPartition)]++
			of++
		}
	}
	require.Len(t, used, lanesPerPartition)
	for lane, n := range used {
		require.Less(t, n, 3*of/lanesPerPartition, "lane %d", lane)
	}
}

func BenchmarkLanes(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	claim := fakeClaim{messages: make(chan *sarama.ConsumerMessage, 256)}
	c := newClaims("", newGate(), newFailures())
	done := make(chan error, 1)
	go func() {
		done <- split(&fakeSession{ctx: ctx}, claim, windowPerPartition, c.newLanes(ctx),
			func(session sarama.ConsumerGroupSession, sc sarama.ConsumerGroupClaim) error {
				for m := range sc.Messages() {
					session.MarkMessage(m, "")
				}
				return nil
			})
	}()
	for i := range b.N {
		claim.messages <- record(int64(i), "0194e2a0-0000-7000-8000-00000000000"+string(rune('0'+i%10)))
	}
	close(claim.messages)
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
