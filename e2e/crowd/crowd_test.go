//go:build crowd

package crowd

import (
	"context"
	"fmt"
	"os"
	"strings"
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

func (s *service) target() target {
	return target{address: s.public, path: "/orders", body: func(int) []byte { return []byte(`{"user_id":"load","total":5}`) }}
}

func report(t *testing.T, name string, r rush) {
	t.Helper()
	t.Logf("%s: %v a second; answer p50 %s p99 %s; %d refused, p50 %s p99 %s; %d cut, %d unsent, %d other", name, r.accepted,
		load.Percentile(r.answers, 0.50), load.Percentile(r.answers, 0.99), len(r.refused), load.Percentile(r.refused, 0.50),
		load.Percentile(r.refused, 0.99), r.cut, r.unsent, r.other)
}

func TestAServiceOutlivesTheCrowdsThatItsLimitIsFor(t *testing.T) {
	s, d := start(t, "orders"), each(t)
	for _, clients := range []int{400, 1000, 4000} {
		r := crowd(t.Context(), s.target(), clients, d)
		report(t, fmt.Sprintf("%d clients", clients), r)
		s.requireAlive()
		require.Zero(t, r.other)
		require.Greater(t, r.taken(), 100)
		if clients <= 1000 {
			require.Less(t, len(r.refused), r.taken()/2, "an ordinary crowd is taken")
		}
	}
}

// Good clients are answered beside clients that never finish their requests. A service that lets these in its way answers the
// good ones some times a second at most. Large headers take most of two processors only to be sent and received, so less is
// asked there.
func TestGoodClientsAreAnsweredBesideSlowOnes(t *testing.T) {
	s, d := start(t, "orders"), each(t)
	crowd(t.Context(), s.target(), goodClients, d) // plans are made, pools are filled
	alone := crowd(t.Context(), s.target(), goodClients, d)
	report(t, "good clients alone", alone)
	const endless = "POST /orders HTTP/1.1\r\nHost: localhost\r\nX-A: "
	for _, bad := range []struct {
		name   string
		header string
		share  float64 // of what the good clients get alone
	}{
		{"small headers that do not end", endless, 0.05},
		{"bodies that do not come", "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n", 0.05},
		{"large headers that do not end", endless + strings.Repeat("a", 11<<10), 0.002},
		{"headers of 60 KB", endless + strings.Repeat("a", 60<<10), 0.002},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			slow(ctx, s.public, 4000, []byte(bad.header))
		}()
		r := crowd(ctx, s.target(), goodClients, d)
		report(t, "4000 slow connections, "+bad.name, r)
		s.requireAlive()
		require.Greater(t, float64(r.taken()), bad.share*float64(alone.taken()), "good clients are answered")
		cancel()
		<-ended
	}
}

func TestMemoryIsGivenBackAfterALoad(t *testing.T) {
	s := start(t, "orders")
	report(t, "a load", crowd(t.Context(), s.target(), 400, each(t)))
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

// Crowds that read are too many for the other services as well. They have less memory.
func TestTheOtherServicesOutliveCrowdsToo(t *testing.T) {
	for name, path := range map[string]string{"payments": "/payments", "notifications": "/notifications"} {
		t.Run(name, func(t *testing.T) {
			s, d := start(t, name), each(t)
			to := target{address: s.public, path: path}
			for _, clients := range []int{400, 4000} {
				r := crowd(t.Context(), to, clients, d)
				report(t, fmt.Sprintf("%d clients", clients), r)
				s.requireAlive()
				require.Zero(t, r.other)
				require.NotZero(t, r.taken())
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				slow(ctx, s.public, 4000, []byte("GET "+path+" HTTP/1.1\r\nHost: localhost\r\nX-A: "+strings.Repeat("a", 11<<10)))
			}()
			r := crowd(ctx, to, goodClients, d)
			report(t, "4000 slow connections", r)
			s.requireAlive()
			require.NotZero(t, r.taken())
			cancel()
			<-ended
		})
	}
}
