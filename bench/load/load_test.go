package load_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/load"
)

func server(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func text(n int) []byte { return []byte(strings.Repeat("x", n+1)) }

func TestClosedLoopPlacesEachOrderOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[int]int{}
	most, now := 0, 0
	address := server(t, func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen[len(content)-1]++
		now++
		most = max(most, now)
		mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "taken")
		mu.Lock()
		now--
		mu.Unlock()
	})
	placed, err := load.Closed(t.Context(), load.Target{Addresses: []string{address}, Body: text}, 5, 100, 300)
	require.NoError(t, err)
	require.Len(t, seen, 300)
	for n := 100; n < 400; n++ {
		require.Equal(t, 1, seen[n], "order %d", n)
	}
	require.LessOrEqual(t, most, 5)
	require.Equal(t, 300, placed.Orders)
	require.Len(t, placed.Answers, 300)
	require.Positive(t, placed.Rate())
	require.True(t, placed.Last.After(placed.First))
}

func TestWhatIsOnlyAskedForOnceIsHandedOver(t *testing.T) {
	t.Parallel()
	address := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch content, _ := io.ReadAll(r.Body); len(content) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "busy")
		case 2:
			panic(http.ErrAbortHandler) // no answer, and no connection any more
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	})
	statuses, broken := map[int]int{}, 0
	_, err := load.Closed(t.Context(), load.Target{Addresses: []string{address}, Body: text, Answered: func(n, status int, body []byte, err error) {
		statuses[n] = status
		if status == http.StatusServiceUnavailable {
			require.Equal(t, "busy", string(body))
		}
		if err != nil {
			broken++
		}
	}}, 1, 0, 4)
	require.NoError(t, err)
	require.Equal(t, map[int]int{0: http.StatusServiceUnavailable, 1: 0, 2: http.StatusAccepted, 3: http.StatusAccepted}, statuses)
	require.Equal(t, 1, broken)
}

func TestWhatIsTooLateIsLeftOut(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	address := server(t, func(http.ResponseWriter, *http.Request) { <-release })
	time.AfterFunc(150*time.Millisecond, func() { close(release) })
	asked := 0
	_, err := load.Open(t.Context(), load.Target{Addresses: []string{address}, Body: text, Patience: 50 * time.Millisecond,
		Answered: func(int, int, []byte, error) { asked++ }}, 1, 0, 20, 1000)
	require.NoError(t, err)
	require.Equal(t, 1, asked)
}

func TestWhatIsRefusedIsAskedForAgainAndCounted(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	refused, taken := 0, 0
	address := server(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if refused < 3 {
			refused++
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		taken++
		w.WriteHeader(http.StatusAccepted)
	})
	placed, err := load.Closed(t.Context(), load.Target{Addresses: []string{address}, Body: text}, 1, 0, 4)
	require.NoError(t, err)
	require.Equal(t, 3, placed.Refused)
	require.Equal(t, 4, taken)
}

func TestAnotherAnswerEndsTheLoad(t *testing.T) {
	t.Parallel()
	address := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) })
	_, err := load.Closed(t.Context(), load.Target{Addresses: []string{address}, Body: text}, 3, 0, 100)
	require.ErrorContains(t, err, "answered 422")
	_, err = load.Open(t.Context(), load.Target{Addresses: []string{address}, Body: text}, 3, 0, 100, 1000)
	require.ErrorContains(t, err, "answered 422")
	_, err = load.Closed(t.Context(), load.Target{Addresses: []string{"127.0.0.1:1"}, Body: text}, 3, 0, 100)
	require.Error(t, err)
}

// What is due while the server hangs is late by as much: the clock of an open loop does not wait for answers.
func TestOpenLoopCountsFromWhenAnOrderWasDue(t *testing.T) {
	t.Parallel()
	const hang = 300 * time.Millisecond
	first := make(chan struct{}, 1)
	first <- struct{}{}
	address := server(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-first:
			timer := time.NewTimer(hang)
			defer timer.Stop()
			<-timer.C
		default:
		}
		w.WriteHeader(http.StatusAccepted)
	})
	placed, err := load.Open(t.Context(), load.Target{Addresses: []string{address}, Body: text}, 1, 0, 50, 1000)
	require.NoError(t, err)
	require.Len(t, placed.Intended, 50)
	late := 0
	for i, took := range placed.Answers {
		require.False(t, placed.Intended[i].IsZero())
		if took > hang/2 {
			late++
		}
	}
	require.Greater(t, late, 10, "orders behind the one that hung are late too")
}

func TestOpenLoopKeepsItsRate(t *testing.T) {
	t.Parallel()
	address := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	placed, err := load.Open(t.Context(), load.Target{Addresses: []string{address}, Body: text}, 16, 0, 400, 800)
	require.NoError(t, err)
	planned := placed.Intended[399].Sub(placed.First)
	require.InDelta(t, 0.5, planned.Seconds(), 0.12, "400 orders at 800 a second")
	require.GreaterOrEqual(t, placed.Last.Sub(placed.First), planned)
}

func TestChunkedAnswersAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	address := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "long answer")
	})
	_, err := load.Closed(t.Context(), load.Target{Addresses: []string{address}, Body: text}, 2, 0, 40)
	require.NoError(t, err)
}

func TestLoadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 8)
	over := make(chan struct{})
	address := server(t, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-over
	})
	t.Cleanup(func() { close(over) })
	gone := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-arrived
		cancel(gone)
	}()
	_, err := load.Closed(ctx, load.Target{Addresses: []string{address}, Body: text}, 4, 0, 100)
	require.ErrorIs(t, err, gone)
}

func TestOrdersCanBePlacedAnotherWay(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []int
	to := load.Target{Place: func(_ context.Context, n int) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, n)
		return nil
	}}
	_, err := load.Closed(t.Context(), to, 3, 7, 20)
	require.NoError(t, err)
	require.Len(t, seen, 20)
}
