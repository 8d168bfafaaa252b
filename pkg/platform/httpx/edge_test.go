package httpx

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func at(t *testing.T, addr string) net.Addr {
	t.Helper()
	on, err := net.ResolveTCPAddr("tcp", addr)
	require.NoError(t, err)
	return on
}

// guarded asks a server of an edge that listens on addr, with pairs of header names and values.
func guarded(t *testing.T, edge Edge, addr, method, host string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "/orders", nil)
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	edge.Guard(at(t, addr), slog.New(slog.DiscardHandler), nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	return w.Result()
}

const loopback, everywhere = "127.0.0.1:8080", "0.0.0.0:8080"

func TestAServerAnswersOnlyUnderNamesThatNoStrangerCanOwn(t *testing.T) {
	t.Parallel()
	shop := Edge{AllowedHosts: []string{"shop.example.com", " *.Pods.example.com"}}
	for _, c := range []struct {
		edge           Edge
		host           string
		local, network bool
	}{
		{Edge{}, "localhost:8080", true, true},
		{Edge{}, "LOCALHOST.", true, true},
		{Edge{}, "orders.localhost", true, true},
		{Edge{}, "127.0.0.1:8080", true, true},
		{Edge{}, "127.8.8.8", true, true},
		{Edge{}, "[::1]:8080", true, true},
		{Edge{}, "[::1]", true, true},
		{Edge{}, "10.1.2.3:9080", true, true}, // the kubelet, Prometheus, a load balancer
		{Edge{}, "", true, true},              // HTTP/1.0
		{Edge{}, "orders:8080", false, true},  // compose
		{Edge{}, "orders.pasdetrois.svc:8080", false, true},
		{Edge{}, "orders.pasdetrois.svc.cluster.local", false, true},
		{Edge{}, "orders.dev:8080", false, false}, // "dev" may be a namespace, and is a domain that anybody can register in
		{Edge{}, "evil.example:8080", false, false},
		{Edge{}, "localhost.evil.example", false, false},
		{Edge{}, "127.0.0.1.evil.example", false, false},
		{Edge{}, "127.0.0.1.nip.io:8080", false, false},
		{Edge{}, "evil-localhost.example", false, false},
		{Edge{}, "svc.evil.example", false, false},
		{Edge{}, "printer.local", false, false}, // any machine of the network answers for it
		{shop, "shop.example.com", true, true},
		{shop, "Shop.Example.com.:443", true, true},
		{shop, "a.pods.example.com", true, true},
		{shop, "a.b.pods.example.com", true, true},
		{shop, "pods.example.com", false, false},
		{shop, "evilpods.example.com", false, false},
		{shop, "shop.example.com.evil.example", false, false},
		{Edge{AllowedHosts: []string{"*"}}, "evil.example", true, true},
	} {
		for addr, answered := range map[string]bool{loopback: c.local, "[::1]:8080": c.local, everywhere: c.network, "[::]:8080": c.network, "10.0.0.7:8080": c.network} {
			got := guarded(t, c.edge, addr, http.MethodGet, c.host)
			if answered {
				require.Equal(t, http.StatusNoContent, got.StatusCode, "%s on %s", c.host, addr)
				continue
			}
			require.Contains(t, problemOf(t, got, http.StatusMisdirectedRequest), "ALLOWED_HOSTS", "%s on %s", c.host, addr)
		}
	}
}

func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	t.Parallel()
	const shop = "https://shop.example.com"
	edge := Edge{AllowedOrigins: []string{shop}}
	browser := func(site, mode, dest, origin string) []string {
		header := []string{"Sec-Fetch-Site", site, "Sec-Fetch-Mode", mode, "Sec-Fetch-Dest", dest}
		if origin != "" {
			header = append(header, "Origin", origin)
		}
		return header
	}
	for name, c := range map[string]struct {
		header        []string
		read, written bool // answered
	}{
		"curl":                                 {nil, true, true},
		"an address that is typed":             {browser("none", "navigate", "document", ""), true, true},
		"the server's own page":                {browser("same-origin", "cors", "empty", "http://localhost:8080"), true, true},
		"a link":                               {browser("cross-site", "navigate", "document", ""), true, false},
		"a form":                               {browser("cross-site", "navigate", "document", "http://evil.example"), true, false},
		"a form of another port":               {browser("same-site", "navigate", "document", "http://localhost:3000"), true, false},
		"a frame":                              {browser("cross-site", "navigate", "iframe", ""), false, false},
		"a picture":                            {browser("cross-site", "no-cors", "image", ""), false, false},
		"a fetch":                              {browser("cross-site", "cors", "empty", "http://evil.example"), false, false},
		"a fetch without an origin":            {browser("cross-site", "no-cors", "empty", "null"), false, false},
		"a fetch of another port":              {browser("same-site", "cors", "empty", "http://localhost:3000"), false, false},
		"an old browser's form":                {[]string{"Origin", "http://evil.example"}, true, false},
		"an old browser's own page":            {[]string{"Origin", "http://localhost:8080"}, true, true},
		"an allowed page":                      {browser("cross-site", "cors", "empty", shop), true, true},
		"an allowed page in an old browser":    {[]string{"Origin", shop}, true, true},
		"a page whose name begins like it":     {browser("cross-site", "cors", "empty", shop+".evil.example"), false, false},
		"an allowed page without its protocol": {browser("cross-site", "cors", "empty", "http://shop.example.com"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"} {
				got := guarded(t, edge, loopback, method, "localhost:8080", c.header...)
				answered := c.written
				if method == "GET" || method == "HEAD" || method == "OPTIONS" {
					answered = c.read
				}
				if answered {
					require.Equal(t, http.StatusNoContent, got.StatusCode, method)
					continue
				}
				require.Contains(t, problemOf(t, got, http.StatusForbidden), "another origin", method)
			}
		})
	}
}

func TestHealthIsAnsweredUnderEveryName(t *testing.T) {
	t.Parallel()
	_, api := NewAPI("things", "1", "test")
	h := Edge{}.Guard(at(t, loopback), slog.New(slog.DiscardHandler), nil, NewHealth(healthy("postgres")).Mount(api, nil))
	for path, status := range map[string]int{"/livez": 200, "/readyz": 200, "/readyz?for=requests": 200, "/metrics": 421, "/livez/": 421, "/docs": 421, "/openapi.json": 421} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "balancer.example:8080"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, path)
	}
}

func TestEveryAnswerHasTheHeadersOfTheEdge(t *testing.T) {
	t.Parallel()
	s := setup(t)
	h := Edge{}.Guard(at(t, loopback), slog.New(slog.DiscardHandler), nil, NewHealth(healthy("postgres")).Mount(s.handler, nil))
	for _, path := range []string{"/things", "/away", "/broken", "/panics", "/nothing", "/livez", "/readyz", "/openapi.json", "/docs", "/docs/swagger-ui.css"} {
		for _, host := range []string{"localhost", "evil.example"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), path)
			require.Contains(t, w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
			require.Regexp(t, "^default-src '(none|self)'; ", w.Header().Get("Content-Security-Policy"), path)
			if strings.HasPrefix(path, "/docs") && host == "localhost" {
				require.Equal(t, "no-cache", w.Header().Get("Cache-Control"), path)
			} else {
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"), path)
			}
		}
	}
}

func TestSettingsOfTheEdge(t *testing.T) {
	t.Parallel()
	require.NoError(t, Edge{AllowedHosts: []string{"a", "a.example", "*.example", "*", "my_host"}, AllowedOrigins: []string{"https://a.example", "http://localhost:3000"}}.Validate())
	for _, name := range []string{"", "a:80", "http://a", "a/b", "*a.example", "a.*.example", "a..b", ".a", "-a", "**", "a b"} {
		require.ErrorContains(t, Edge{AllowedHosts: []string{name}}.Validate(), "ALLOWED_HOSTS: ", name)
	}
	for _, origin := range []string{"", "a.example", "https://a.example/", "https://a.example/x", "*", "null"} {
		require.ErrorContains(t, Edge{AllowedOrigins: []string{origin}}.Validate(), "ALLOWED_ORIGINS: ", origin)
	}
}

func BenchmarkGuard(b *testing.B) {
	on, err := net.ResolveTCPAddr("tcp", everywhere)
	require.NoError(b, err)
	h := Edge{AllowedHosts: []string{"shop.example.com"}}.Guard(on, slog.New(slog.DiscardHandler), nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodPost, "/orders", nil)
	r.Host = "shop.example.com"
	w := httptest.NewRecorder()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
