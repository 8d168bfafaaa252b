package presence

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// shared is a table that several replicas of a test share.
type shared struct {
	mu   sync.Mutex
	rows map[string]time.Time
}

func newShared() *shared { return &shared{rows: map[string]time.Time{}} }

// line is how one replica reaches the table, or does not.
type line struct {
	*shared
	cut *atomic.Bool
}

func (l line) renew(ctx context.Context, name string) ([]row, error) {
	if l.cut.Load() {
		return nil, errors.New("no database")
	}
	return l.shared.renew(ctx, name)
}

func (s *shared) renew(_ context.Context, name string) ([]row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[name] = time.Now()
	var others []row
	for other, at := range s.rows {
		if other != name {
			others = append(others, row{other, at})
		}
	}
	return others, nil
}

func (s *shared) forget(_ context.Context, r row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows[r.Name].Equal(r.RenewedAt) {
		delete(s.rows, r.Name)
	}
	return nil
}

func (s *shared) leave(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, name)
	return nil
}

func (s *shared) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.rows))
}

func (s *shared) renewed(name string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[name]
}

// heir notes from whom it was told to take over, and fails so many times.
type heir struct {
	mu     sync.Mutex
	told   []string
	fails  int
	answer chan struct{} // when set, it answers only then
}

func (h *heir) TakeOver(ctx context.Context, replica string) error {
	h.mu.Lock()
	h.told = append(h.told, replica)
	fails := h.fails > 0
	h.fails--
	h.mu.Unlock()
	if h.answer != nil {
		select {
		case <-h.answer:
		case <-ctx.Done():
		}
	}
	if fails {
		return errors.New("not now")
	}
	return nil
}

func (h *heir) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.told)
}

// live starts a replica; end stops it in good order.
func live(t *testing.T, table table, name string, h *heir) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := New(Config{Name: name, Successor: h, Log: slog.New(slog.DiscardHandler)})
	p.table = table
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

// after lets time pass for all that runs in the bubble of a test.
func after(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func TestADeadReplicaIsNamedToAllThatLiveWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, b, c := newShared(), &heir{}, &heir{}
		defer live(t, table, "b", b)()
		after(200 * time.Millisecond)
		defer live(t, table, "c", c)()
		after(3 * time.Second)
		_, err := table.renew(t.Context(), "a") // its last renewal
		require.NoError(t, err)
		after(lease)
		require.Empty(t, b.all())
		after(2*time.Second - lease)
		require.Equal(t, []string{"a"}, b.all())
		require.Equal(t, []string{"a"}, c.all())
		after(30 * time.Second)
		require.Equal(t, []string{"a"}, b.all(), "a dead replica is taken over from once")
		require.Equal(t, []string{"a", "b", "c"}, table.names())
		after(forgetAfter)
		require.Equal(t, []string{"b", "c"}, table.names(), "the row of a dead replica goes")
	})
}

// The first to come up after a crash finds the row of its predecessor.
func TestAReplicaThatIsAloneNamesItsPredecessor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, h := newShared(), &heir{}
		_, _ = table.renew(t.Context(), "before")
		defer live(t, table, "after", h)()
		after(lease - time.Millisecond)
		require.Empty(t, h.all(), "it may live")
		after(time.Second)
		require.Equal(t, []string{"before"}, h.all())
	})
}

func TestNobodyNamesAReplicaThatRenewsOrStopsInGoodOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, a, b := newShared(), &heir{}, &heir{}
		endA := live(t, table, "a", a)
		defer endA()
		defer live(t, table, "b", b)()
		after(time.Minute)
		endA()
		require.Equal(t, []string{"b"}, table.names())
		after(time.Minute)
		require.Empty(t, a.all())
		require.Empty(t, b.all())
	})
}

func TestAnOutageOfTheDatabaseNamesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, a, b := newShared(), &heir{}, &heir{}
		lineA, lineB := line{table, new(atomic.Bool)}, line{table, new(atomic.Bool)}
		defer live(t, lineA, "a", a)()
		defer live(t, lineB, "b", b)()
		after(10 * time.Second)
		lineA.cut.Store(true)
		lineB.cut.Store(true)
		after(10 * time.Second)
		lineA.cut.Store(false)
		after(settle - 2*time.Second) // b comes back later than a
		require.Empty(t, a.all())
		lineB.cut.Store(false)
		after(time.Minute)
		require.Empty(t, a.all())
		require.Empty(t, b.all())
	})
}

func TestATakeOverThatFailsIsTriedAgainAndNeverHoldsUpTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, h := newShared(), &heir{fails: 2, answer: make(chan struct{})}
		defer live(t, table, "b", h)()
		_, _ = table.renew(t.Context(), "a")
		after(5 * time.Second)
		require.Equal(t, []string{"a"}, h.all(), "the first attempt is under way")
		require.WithinDuration(t, time.Now(), table.renewed("b"), renewEvery)
		close(h.answer)
		after(5 * time.Second)
		require.Equal(t, []string{"a", "a", "a"}, h.all(), "until it works")
	})
}

func TestAReplicaThatComesBackCanDieAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, h := newShared(), &heir{}
		defer live(t, table, "b", h)()
		for range 2 {
			_, _ = table.renew(t.Context(), "frozen")
			after(5 * time.Second)
		}
		require.Equal(t, []string{"frozen", "frozen"}, h.all())
	})
}

func TestNobodyIsJudgedAfterAPauseOfThisProcess(t *testing.T) {
	t.Parallel()
	var w watch
	now := time.Now()
	look := func(after time.Duration, peer string) []row {
		now = now.Add(after)
		at, err := time.Parse(time.TimeOnly, peer)
		require.NoError(t, err)
		silent, _ := w.look([]row{{"peer", at}}, now, now)
		return silent
	}
	require.Empty(t, look(0, "10:00:00"))
	require.Empty(t, look(30*time.Second, "10:00:00"), "the silence is this process's own")
	for range int(settle / renewEvery) {
		require.Empty(t, look(renewEvery-time.Millisecond, "10:00:00"))
	}
	require.Len(t, look(renewEvery, "10:00:00"), 1, "it watched long enough")
	require.Empty(t, look(renewEvery, "10:00:01"), "it lives")
}

// The answer may describe a moment that is as old as the question, and as young as the answer.
func TestASlowAnswerProvesLittle(t *testing.T) {
	t.Parallel()
	var w watch
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	rows := []row{{"peer", start}}
	for i := range time.Duration(3) {
		silent, _ := w.look(rows, at(i*renewEvery), at(i*renewEvery+400*time.Millisecond))
		require.Empty(t, silent)
	}
	silent, _ := w.look(rows, at(3*renewEvery), at(3*renewEvery))
	require.Empty(t, silent)
	silent, _ = w.look(rows, at(4*renewEvery), at(4*renewEvery))
	require.Len(t, silent, 1)
}
