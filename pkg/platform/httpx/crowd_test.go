package httpx

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"

// held is a handler that reads the body and answers once it is let go.
type held struct {
	began chan context.Context
	goOn  chan struct{}
	free  sync.Once
}

func newHeld() *held {
	return &held{began: make(chan context.Context, 1000), goOn: make(chan struct{})}
}

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		problem(w, http.StatusRequestTimeout, "the body did not come")
		return
	}
	h.began <- r.Context()
	<-h.goOn
	_, _ = io.WriteString(w, "done")
}

func (h *held) letGo() { h.free.Do(func() { close(h.goOn) }) }

func crowded(holds capacity) func(*limits) {
	return func(l *limits) { l.holds = holds }
}

// requireRefused expects to be turned away, and returns the answer.
func requireRefused(t *testing.T, resp *http.Response) {
	t.Helper()
	require.Contains(t, problemOf(t, resp, http.StatusServiceUnavailable), "too busy")
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, seconds)
}

func TestARequestWithoutRoomIsRefusedBeforeItsBodyIsRead(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := start(t, h, func(l *limits) {
		l.holds = capacity{requests: 1, patience: time.Hour}
		l.leftover = standardLimits().leftover
	})
	first := s.dial(get)
	<-h.began
	refused := s.dial(post) // and never the body
	requireRefused(t, s.answer(refused))
	whole := s.dial(post + "{}")
	requireRefused(t, s.answer(whole))
	requireRefused(t, s.answer(s.dial(strings.Replace(post, "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1))))

	h.letGo()
	require.Equal(t, http.StatusOK, s.answer(first).StatusCode)
	_, err := io.WriteString(whole, get)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, s.answer(whole).StatusCode, "who was refused asks again over the same connection")
	s.closed(refused)
	require.NoError(t, s.result())
	require.Equal(t, 1, strings.Count(s.log.String(), "too busy"), "it is not said for each client: %s", s.log)
}

func TestHealthIsAnsweredHoweverLargeTheCrowdIs(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := start(t, NewHealth().Mount(h, prometheus.NewRegistry()), crowded(capacity{requests: 1}))
	s.dial(get)
	<-h.began
	for _, path := range []string{"/livez", "/readyz", "/readyz?for=requests", "/metrics"} {
		require.Equal(t, http.StatusOK, s.answer(s.dial("GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")).StatusCode, path)
	}
	requireRefused(t, s.answer(s.dial(get)))
	h.letGo()
	require.NoError(t, s.result())
}

// busyDial is how long a test on a busy machine may take between its connection and its request.
const busyDial = 300 * time.Millisecond

func TestWhoSendsNoHeaderGivesWay(t *testing.T) {
	t.Parallel()
	s := start(t, http.NotFoundHandler(), func(l *limits) {
		l.holds = capacity{connections: 100, fresh: 3, patience: busyDial}
		l.streams = time.Millisecond // a stop does not wait for them either
	})
	silent, slow := s.dial(""), s.dial("GET / HTTP/1.1\r\nHost: a\r\nX-A: ")
	for range 20 {
		s.dial("GET / HTTP/1.1\r\n")
	}
	require.Equal(t, http.StatusNotFound, s.answer(s.dial(get)).StatusCode)
	s.closed(silent)
	s.closed(slow)
	require.NoError(t, s.result())
}

func TestWhoAsksNothingGivesWayAndWhoIsAnsweredNever(t *testing.T) {
	t.Parallel()
	h := newHeld()
	mux := http.NewServeMux()
	mux.Handle("/held", h)
	s := start(t, mux, crowded(capacity{connections: 2, fresh: 2, patience: busyDial}))
	answered := s.dial(strings.Replace(get, "/", "/held", 1))
	<-h.began
	idle := s.dial(get)
	require.Equal(t, http.StatusNotFound, s.answer(idle).StatusCode)
	for range 5 {
		require.Equal(t, http.StatusNotFound, s.answer(s.dial(get)).StatusCode)
	}
	s.closed(idle)
	h.letGo()
	require.Equal(t, http.StatusOK, s.answer(answered).StatusCode)
	require.NoError(t, s.result())
}

// With every connection in work a new one waits before the door, and a stop does not wait for it.
func TestAServerWithoutRoomCanBeStopped(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := start(t, h, crowded(capacity{connections: 1, fresh: 1, patience: time.Hour}))
	inWork := s.dial(get)
	<-h.began
	s.dial(get)
	s.stop()
	h.letGo()
	require.Equal(t, http.StatusOK, s.answer(inWork).StatusCode)
	require.NoError(t, s.result())
}

// Bodies that do not come take no place among the requests in work: a good client is answered beside them.
func TestSlowBodiesKeepNobodyFromBeingAnswered(t *testing.T) {
	t.Parallel()
	h, arrived := newHeld(), make(chan struct{}, 1000)
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		strict(h).ServeHTTP(w, r)
	}), crowded(capacity{requests: 1, bodies: 1 << 20, patience: time.Hour}))
	var slow []net.Conn
	for range 10 {
		slow = append(slow, s.dial(post+"{"))
		<-arrived
	}
	good := s.dial(post + "{}")
	<-h.began
	_, err := io.WriteString(slow[0], "}") // its body is whole while another request has the only place
	require.NoError(t, err)
	requireRefused(t, s.answer(slow[0]))
	h.letGo()
	require.Equal(t, http.StatusOK, s.answer(good).StatusCode)
	_, err = io.WriteString(slow[1], "}")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, s.answer(slow[1]).StatusCode)
	for _, conn := range slow[2:] {
		require.NoError(t, conn.Close())
	}
	require.NoError(t, s.result())
}

func TestWhoSendsNoBodyGivesWay(t *testing.T) {
	t.Parallel()
	h, arrived := newHeld(), make(chan struct{}, 1000)
	h.letGo()
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		h.ServeHTTP(w, r)
	}), crowded(capacity{requests: 1, bodies: bodyBytes + 3, patience: 20 * time.Millisecond}))
	slow := s.dial(post + "{")
	<-arrived
	require.Eventually(t, func() bool {
		return s.answer(s.dial(post+"{}")).StatusCode == http.StatusOK
	}, patience, time.Millisecond)
	require.Equal(t, http.StatusRequestTimeout, s.answer(slow).StatusCode)
	require.NoError(t, s.result())
}

func TestWhoOnlyWaitsForNewsLeavesItsPlaceToOthers(t *testing.T) {
	t.Parallel()
	waits, news := make(chan bool, 10), make(chan struct{})
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done, ok := Wait(r.Context())
		waits <- ok
		if ok {
			<-news
			done()
		}
		_, _ = io.WriteString(w, "so far")
	}), crowded(capacity{requests: 1, waiting: 2}))
	first, second := s.dial(get), s.dial(get)
	require.True(t, <-waits)
	require.True(t, <-waits)
	require.Equal(t, http.StatusOK, s.answer(s.dial(get)).StatusCode, "it is answered what there is")
	require.False(t, <-waits)
	close(news)
	require.Equal(t, http.StatusOK, s.answer(first).StatusCode)
	require.Equal(t, http.StatusOK, s.answer(second).StatusCode)
	require.NoError(t, s.result())
}

func TestOutsideOfAServerNobodyIsTurnedAway(t *testing.T) {
	t.Parallel()
	done, ok := Wait(t.Context())
	require.True(t, ok)
	done()
	require.ErrorContains(t, TooBusy(t.Context(), time.Second), "too busy")
}

// A queue that is too long refuses before the body as well, and every refusal is counted by its cause.
func TestWhatCannotBeStartedInTimeIsRefused(t *testing.T) {
	t.Parallel()
	m := NewMetrics(prometheus.NewRegistry())
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.ErrorContains(t, TooBusy(r.Context(), 2500*time.Millisecond), "too busy")
	})
	s := start(t, api, func(l *limits) {
		l.metrics, l.early = m, &Early{Method: http.MethodPost, Path: "/", Busy: func() (time.Duration, bool) { return 7 * time.Second, true }}
		l.leftover = standardLimits().leftover // a body never comes
	})
	resp := s.answer(s.dial(post))
	problemOf(t, resp, http.StatusServiceUnavailable)
	require.Equal(t, "7", resp.Header.Get("Retry-After"), "as long as the queue is")
	require.Equal(t, http.StatusOK, s.answer(s.dial(get)).StatusCode)
	require.NoError(t, s.result())
	require.InDelta(t, 2, testutil.ToFloat64(m.turnedAway.WithLabelValues("public", causeQueue)), 0)
}

func TestRetryAfterCountsThoseWhoWereRefusedBefore(t *testing.T) {
	t.Parallel()
	var p pressure
	at := time.Unix(1000, 0)
	for range 2000 {
		p.answered(at)
	}
	for range 8000 {
		p.refused(at)
	}
	require.Equal(t, 4*time.Second, p.backlog(at))
	require.Equal(t, 4*time.Second, p.backlog(at.Add(time.Second)))
	require.Zero(t, p.backlog(at.Add(2*time.Second)), "the load is over")
	require.Equal(t, 1, wholeSeconds(0))
	require.Equal(t, 5, wholeSeconds(4001*time.Millisecond))
	require.Equal(t, 30, wholeSeconds(time.Hour))
}

func TestWhatHappensOftenIsSaidSeldom(t *testing.T) {
	t.Parallel()
	var s Seldom
	at := time.Unix(1000, 0)
	said := func(after time.Duration) string { n, ok := s.Now(at.Add(after)); return fmt.Sprint(n, ok) }
	require.Equal(t, "1 true", said(0))
	require.Equal(t, "0 false", said(time.Second))
	require.Equal(t, "0 false", said(4*time.Second))
	require.Equal(t, "3 true", said(5*time.Second))
}

// What a server holds fits into the memory that the process may use, and leaves room for the service itself.
func TestTheCapacityFollowsTheMemory(t *testing.T) {
	t.Parallel()
	for _, mib := range []int64{217, 326, 435, 4096} {
		public, admin := capacityOf(mib<<20, Public), capacityOf(mib<<20, Admin)
		all := 0
		for _, c := range []capacity{public, admin} {
			all += c.connections*connectionBytes + c.requests*requestBytes + c.waiting*waitingBytes
		}
		require.Less(t, int64(all), mib<<20*86/100)
		require.Less(t, admin.requests, public.requests/10)
	}
	require.Greater(t, capacityOf(326<<20, Public).requests, 1000, "the crowd that batches are made for")
	require.Greater(t, capacityOf(326<<20, Public).connections, 4000)
	require.Equal(t, capacityOf(math.MaxInt64, Public), capacityOf(ordinaryLimit, Public))
	require.Positive(t, capacityOf(1<<20, Admin).fresh)
}

func TestAHeaderHas16KiBAtMost(t *testing.T) {
	t.Parallel()
	s := start(t, http.NotFoundHandler(), func(l *limits) { l.maxBytes = standardLimits().maxBytes })
	large := func(n int) *http.Response {
		return s.answer(s.dial("GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", n) + "\r\n\r\n"))
	}
	require.Equal(t, http.StatusNotFound, large(11<<10).StatusCode)
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, large(16<<10).StatusCode)
	require.NoError(t, s.result())
}
