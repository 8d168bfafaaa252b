package edge_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
)

// operation is a method and an address of one server.
type operation struct{ method, url string }

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// operations reads the operations of a service's server from its OpenAPI document, so that a new one is attacked as well.
func (s *site) operations(base string) (all []operation) {
	s.t.Helper()
	_, text := s.call(http.MethodGet, base+"/openapi.json", "")
	var document struct{ Paths map[string]map[string]any }
	require.NoError(s.t, json.Unmarshal([]byte(text), &document))
	require.NotEmpty(s.t, document.Paths)
	for path, methods := range document.Paths {
		for method := range methods {
			all = append(all, operation{strings.ToUpper(method), base + parameter.ReplaceAllString(path, "1")})
		}
	}
	return all
}

// No page of another origin, and no page under a stranger's name, gets past the edge of any server.
func TestNoOperationServesAStrangersPage(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var all []operation
	add := func(base string, methodsAndPaths ...string) {
		for _, one := range methodsAndPaths {
			method, path, _ := strings.Cut(one, " ")
			all = append(all, operation{method, base + path})
		}
	}
	for _, service := range messages.Services() {
		if service == "payments" { // it stands still in this site; its servers are made of the same parts
			continue
		}
		at := s.client.Endpoint(service)
		for _, base := range []string{at.Public, at.Admin} {
			all = append(all, s.operations(base)...)
			add(base, "GET /docs", "GET /openapi.json")
		}
		add(at.Admin, "GET /metrics", "GET /debug/pprof/", "GET /debug/pprof/profile?seconds=1")
	}
	require.Greater(t, len(all), 30)
	const one = "/consumers/g/instances/i"
	add(s.rest, "GET /", "GET /brokers", "GET /topics", "GET /topics/orders", "POST /topics/orders", "GET /topics/orders/partitions",
		"POST /topics/orders/partitions/0", "GET /topics/orders/partitions/0/offsets", "POST /consumers/g", "DELETE "+one, "POST "+one+"/subscription",
		"GET "+one+"/records", "POST "+one+"/offsets", "POST "+one+"/positions/end")
	add(s.chart, "GET /", "GET /windows", "GET /page.js")

	const evil = "http://evil.example"
	for name, c := range map[string]struct {
		status int
		header []string
		only   func(operation) bool // nil = each
	}{
		"a stranger's name":              {421, []string{"Host", "evil.example"}, nil},
		"a stranger's name and port":     {421, []string{"Host", "evil.example:8080"}, nil},
		"a rebound page's own requests":  {421, []string{"Host", "evil.example", "Origin", evil, "Sec-Fetch-Site", "same-origin"}, nil},
		"a name that begins as loopback": {421, []string{"Host", "localhost.evil.example"}, nil},
		"a fetch":                        {403, []string{"Origin", evil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, nil},
		"a fetch without cors":           {403, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, nil},
		"a frame":                        {403, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, nil},
		"another port of this machine":   {403, []string{"Origin", "http://localhost:3000", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}, nil},
		"a form": {403, []string{"Origin", evil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document",
			"Content-Type", "application/x-www-form-urlencoded"}, operation.changes},
		"an old browser's form": {403, []string{"Origin", evil, "Content-Type", "application/x-www-form-urlencoded"}, operation.changes},
		"a sandboxed form":      {403, []string{"Origin", "null", "Content-Type", "text/plain"}, operation.changes},
	} {
		for _, op := range all {
			if c.only != nil && !c.only(op) {
				continue
			}
			status, body := s.call(op.method, op.url, "", c.header...)
			require.Equal(t, c.status, status, "%s: %s %s: %s", name, op.method, op.url, body)
		}
	}
	s.untouched()

	for _, op := range all { // without the headers of a browser each is answered
		if op.changes() || strings.Contains(op.url, "pprof/profile") {
			continue
		}
		status, body := s.call(op.method, op.url, "")
		require.NotContains(t, []int{403, 421}, status, "%s %s: %s", op.method, op.url, body)
	}
	for path, status := range map[string]int{"/livez": 200, "/readyz?for=requests": 200} {
		for _, base := range []string{s.client.Endpoint("orders").Public, s.client.Endpoint("orders").Admin} {
			got, body := s.call(http.MethodGet, base+path, "", "Host", "balancer.example")
			require.Equal(t, status, got, body)
		}
	}
	status, body := s.call(http.MethodPost, s.client.Endpoint("orders").Public+"/orders", `{"user_id":"mallory","total":1}`)
	require.Equal(t, http.StatusUnsupportedMediaType, status, "a body without a type, as a Blob of a page has: %s", body)
	s.untouched()
}

func (o operation) changes() bool { return o.method != http.MethodGet }
