//go:build crowd

package crowd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/load"
)

const (
	goodClients = 10
	// floor is how much memory of its own a service may keep after a load.
	floor = 50 << 20
)

// each returns how long each part takes.
func each(t *testing.T) time.Duration {
	t.Helper()
	given := os.Getenv("CROWD_FOR")
	if given == "" {
		return 2 * time.Second
	}
	d, err := time.ParseDuration(given)
	require.NoError(t, err, "CROWD_FOR")
	return d
}

func (s *service) target() load.Target {
	return load.Target{Addresses: []string{s.public}, Body: func(int) []byte { return []byte(`{"user_id":"load","total":5}`) }}
}

func report(t *testing.T, name string, r load.Rush) {
	t.Helper()
	t.Logf("%s: %v a second; answer p50 %s p99 %s; %d refused, p50 %s p99 %s; %d cut, %d unsent, %d other", name, r.Accepted,
		load.Percentile(r.Answers, 50), load.Percentile(r.Answers, 99), len(r.Refused), load.Percentile(r.Refused, 50),
		load.Percentile(r.Refused, 99), r.Cut, r.Unsent, r.Other)
}

func TestAServiceOutlivesTheCrowdsThatItsLimitIsFor(t *testing.T) {
	s, d := start(t), each(t)
	for _, clients := range []int{400, 1000, 4000} {
		r := load.Crowd(t.Context(), s.target(), clients, d)
		report(t, fmt.Sprintf("%d clients", clients), r)
		s.requireAlive()
		require.Zero(t, r.Other)
		require.Greater(t, r.Taken(), 100)
		if clients <= 1000 {
			require.Less(t, len(r.Refused), r.Taken()/2, "an ordinary crowd is taken")
		}
	}
	endless := "POST /orders HTTP/1.1\r\nHost: a\r\nX-A: "
	for name, header := range map[string][]byte{
		"small headers that do not end": []byte(endless),
		"large headers that do not end": append([]byte(endless), bytes.Repeat([]byte("a"), 11<<10)...),
		"headers of 60 KB":              append([]byte(endless), bytes.Repeat([]byte("a"), 60<<10)...),
		"bodies that do not come":       []byte("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			load.Slow(ctx, s.public, 4000, header)
		}()
		r := load.Crowd(ctx, s.target(), goodClients, d)
		report(t, "4000 slow connections, "+name, r)
		s.requireAlive()
		require.GreaterOrEqual(t, r.Taken(), goodClients, "good clients are answered")
		cancel()
		<-ended
	}
}

func TestMemoryIsGivenBackAfterALoad(t *testing.T) {
	s := start(t)
	report(t, "a load", load.Crowd(t.Context(), s.target(), 400, each(t)))
	began := time.Now()
	for ; ; <-time.After(time.Second) {
		now, most := s.memory()
		if now <= floor {
			t.Logf("%d MiB %s after the load, %d MiB at most", now>>20, time.Since(began).Round(time.Second), most>>20)
			return
		}
		require.Less(t, time.Since(began), 2*time.Minute, "it keeps %d MiB", now>>20)
	}
}

// Whatever is asked of it, a service goes on doing what it can.
func TestGoodputStaysUnderOverload(t *testing.T) {
	s, d := start(t), each(t)
	load.Crowd(t.Context(), s.target(), 1000, d) // plans are made, pools are filled
	peak := load.Crowd(t.Context(), s.target(), 1000, d)
	report(t, "what it can do", peak)
	can := float64(peak.Taken()) / d.Seconds()
	for _, times := range []float64{3, 5} {
		r := load.Flood(t.Context(), s.target(), 3000, times*can, 2*d)
		report(t, fmt.Sprintf("%.0f times as much", times), r)
		s.requireAlive()
		require.Zero(t, r.Other)
		require.Greater(t, float64(r.Taken())/(2*d.Seconds()), share*can)
		after := load.Crowd(t.Context(), s.target(), 1, 2*time.Second)
		report(t, "after it", after)
		require.NotEmpty(t, after.Answers)
		require.Less(t, load.Percentile(after.Answers, 50), 250*time.Millisecond, "it is as before within 2 s")
	}
}

// share of what the service can do is what it does at least under overload, in the sense of not collapsing. The load, the
// broker and the database have the same two processors as the service, and five times as much load leaves it little of them:
// how much is a measurement, which stands in the log, and no test.
const share = 0.05
