package ratelimit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/ratelimit"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// site is an API with an operation under two limits, whose clock stands still.
type site struct {
	t       *testing.T
	handler http.Handler
	now     time.Time
	hold    chan struct{} // a request with ?held=1 ends when it is closed
	held    chan struct{} // gets a value when such a request is in work
	reg     *prometheus.Registry
}

func setup(t *testing.T, proxies ...string) *site {
	t.Helper()
	trusted, err := ratelimit.ParseProxies(proxies)
	require.NoError(t, err)
	s := &site{t: t, now: time.Unix(1e9, 0), hold: make(chan struct{}), held: make(chan struct{}), reg: prometheus.NewRegistry()}
	api, handler := httpx.NewAPI("test", "1", "")
	things, open := ratelimit.PerSecond("things", 2, 5), ratelimit.AtOnce("open", 2)
	api.UseMiddleware(ratelimit.New(trusted, s.reg, func() time.Time { return s.now }).Middleware(func(ctx huma.Context) []*ratelimit.Limit {
		switch {
		case ctx.Operation().OperationID == "free":
			return nil
		case ctx.Query("held") != "":
			return []*ratelimit.Limit{open, things}
		}
		return []*ratelimit.Limit{things}
	}))
	for _, id := range []string{"limited", "free"} {
		huma.Register(api, huma.Operation{OperationID: id, Method: http.MethodGet, Path: "/" + id}, func(_ context.Context, in *struct {
			Held bool `query:"held"`
		}) (*struct{}, error) {
			if in.Held {
				s.held <- struct{}{}
				<-s.hold
			}
			return nil, nil
		})
	}
	s.handler = handler
	return s
}

// ask sends a request from an address, in the name of a user if there is one.
func (s *site) ask(path, from, user string, forwarded ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = from
	r.Header["X-Forwarded-For"] = forwarded
	if user != "" {
		r = r.WithContext(auth.With(r.Context(), auth.User(user)))
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// allowed counts the requests until the first that is refused.
func (s *site) allowed(from, user string, forwarded ...string) int {
	s.t.Helper()
	for n := range 100 {
		if w := s.ask("/limited", from, user, forwarded...); w.Code != http.StatusNoContent {
			require.Equal(s.t, http.StatusTooManyRequests, w.Code, w.Body)
			return n
		}
	}
	return 100
}

const here = "192.0.2.1:1234"

func TestACallerGetsItsBurstAndThenItsRate(t *testing.T) {
	t.Parallel()
	s := setup(t)
	w := s.ask("/limited", here, "")
	require.Equal(t, `"things";q=5;w=3`, w.Header().Get("RateLimit-Policy"))
	require.Equal(t, `"things";r=4;t=1`, w.Header().Get("RateLimit"))
	require.Equal(t, 4, s.allowed(here, ""))

	w = s.ask("/limited", here, "")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Equal(t, `"things";r=0;t=3`, w.Header().Get("RateLimit"))
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var problem map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
	require.Equal(t, []any{"things"}, problem["violated-policies"])
	require.Equal(t, "https://iana.org/assignments/http-problem-types#quota-exceeded", problem["type"])
	require.EqualValues(t, http.StatusTooManyRequests, problem["status"])
	require.Contains(t, problem["detail"], "nothing was begun")
	require.Equal(t, 2.0, testutil.ToFloat64(s.reg))

	free := s.ask("/free", here, "")
	require.Equal(t, http.StatusNoContent, free.Code, "it has no limit")
	require.Empty(t, free.Header().Get("RateLimit"))

	s.now = s.now.Add(time.Second) // what Retry-After said
	require.Equal(t, 2, s.allowed(here, ""))
	s.now = s.now.Add(time.Hour)
	require.Equal(t, 5, s.allowed(here, ""))
}

func TestUsersAndAddressesAreCountedApart(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Equal(t, 5, s.allowed(here, ""))
	require.Equal(t, 0, s.allowed("192.0.2.1:9999", ""), "another port is the same caller")
	require.Equal(t, 5, s.allowed("192.0.2.2:1", ""))
	require.Equal(t, 5, s.allowed(here, "ada"), "an office has one address and many users")
	require.Equal(t, 0, s.allowed("192.0.2.9:1", "ada"), "a user has one quota everywhere")
	require.Equal(t, 5, s.allowed(here, "192.0.2.2"), "a user's name is no address")
	require.Equal(t, 5, s.allowed("[2001:db8::1]:1", ""))
	require.Equal(t, 0, s.allowed("[2001:db8::ffff:2]:1", ""), "one customer has a whole /64")
	require.Equal(t, 5, s.allowed("[2001:db8:0:1::1]:1", ""))
	require.Equal(t, 0, s.allowed("[::ffff:192.0.2.1]:1", ""), "an IPv4 address in its IPv6 form")
}

func TestTheAddressBehindAProxyIsWhatTheProxySays(t *testing.T) {
	t.Parallel()
	s := setup(t, "10.0.0.0/8", "2001:db8::7")
	const proxy = "10.1.1.1:55"
	require.Equal(t, 5, s.allowed(proxy, "", "192.0.2.1"))
	require.Equal(t, 5, s.allowed(proxy, "", "192.0.2.2"), "another client")
	require.Equal(t, 0, s.allowed(proxy, "", "198.51.100.1, 192.0.2.1"), "a client cannot name itself differently")
	require.Equal(t, 0, s.allowed(proxy, "", "198.51.100.2", "192.0.2.1, 10.2.2.2"), "several proxies, several lines")
	require.Equal(t, 0, s.allowed("[2001:db8::7]:1", "", "192.0.2.1:8080"), "with a port")
	require.Equal(t, 5, s.allowed("203.0.113.1:1", "", "192.0.2.3"))
	require.Equal(t, 0, s.allowed("203.0.113.1:1", "", "192.0.2.4"), "whoever is no proxy is not believed")
	require.Equal(t, 5, s.allowed(proxy, "", "unknown"), "the proxy itself")
	require.Equal(t, 0, s.allowed(proxy, ""))
	require.Equal(t, 0, s.allowed(proxy, "", "192.0.2.77, unknown"))
}

func TestRequestsInWorkAreBoundedUntilTheyEnd(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { s.ask("/limited?held=1", here, "ada") })
		<-s.held
	}
	w := s.ask("/limited?held=1", here, "ada")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	require.Equal(t, `"open";q=2;qu="concurrent-requests"`, w.Header().Get("RateLimit-Policy"))
	require.Equal(t, `"open";r=0`, w.Header().Get("RateLimit"))
	all.Go(func() { s.ask("/limited?held=1", here, "eve") })
	<-s.held
	w = s.ask("/limited", here, "ada")
	require.Equal(t, `"things";r=2;t=2`, w.Header().Get("RateLimit"), "the refused one took none of the other quota")
	close(s.hold)
	all.Wait()
	s.now = s.now.Add(time.Hour)
	all.Go(func() {
		w := s.ask("/limited?held=1", here, "ada")
		assert.Equal(t, `"open";r=1, "things";r=4;t=1`, w.Header().Get("RateLimit"))
	})
	<-s.held
	all.Wait()
}

// Whoever has ten thousand names gains what ten thousand callers may; the memory for them is bounded.
func TestManyCallersDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Equal(t, 5, s.allowed(here, "ada"))
	for i := range 9_999 {
		s.ask("/limited", here, fmt.Sprint(i))
	}
	require.Equal(t, 0, s.allowed(here, "ada"))
	for i := range 10_000 {
		s.ask("/limited", here, fmt.Sprint("other ", i))
	}
	require.Equal(t, 5, s.allowed(here, "ada"), "forgotten, so new")
}

func TestProxiesAreAddressesAndNetworks(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "proxy", "10.0.0.0/33", "10.0.0.1:80", "10.*"} {
		_, err := ratelimit.ParseProxies([]string{bad})
		require.ErrorContains(t, err, "is not an address or a network", bad)
	}
	got, err := ratelimit.ParseProxies(strings.Split("10.1.2.3/8, ::1,192.0.2.1", ","))
	require.NoError(t, err)
	require.Equal(t, "[10.0.0.0/8 ::1/128 192.0.2.1/32]", fmt.Sprint(got))
}
