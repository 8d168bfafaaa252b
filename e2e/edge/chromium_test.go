//go:build edge

package edge_test

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

//go:embed attack.html
var attackPage string

// plan is what a page does: see attack.html.
type plan struct {
	Name      string     `json:"name"`
	Collector string     `json:"collector"`
	Frames    []string   `json:"frames"`
	Forms     []string   `json:"forms"`
	Blobs     [][]string `json:"blobs"` // URL and body each
	Reads     []string   `json:"reads"`
}

func (p plan) serve(w http.ResponseWriter) {
	for _, list := range []*[]string{&p.Frames, &p.Forms, &p.Reads} {
		*list = append([]string{}, *list...) // never null
	}
	p.Blobs = append([][]string{}, p.Blobs...)
	text, _ := json.Marshal(p) // texts only
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, strings.Replace(attackPage, "PLAN", string(text), 1))
}

// attacker collects what the pages read, and what a server without any protection gets from them.
type attacker struct {
	mu       sync.Mutex
	reads    map[string]map[string]string // by page, then by URL
	received []string                     // method, path, type and origin of what reached the server without protection
}

func (a *attacker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.URL.Path == "/report" {
		var read map[string]string
		if json.Unmarshal(body, &read) == nil {
			a.reads[r.URL.RawQuery] = read
		}
		return
	}
	a.received = append(a.received, fmt.Sprintf("%s %s type=%q site=%q", r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Sec-Fetch-Site")))
}

func (a *attacker) done(pages int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.reads) < pages {
		return fmt.Errorf("%d of %d pages have reported", len(a.reads), pages)
	}
	return nil
}

// rebound is a server whose name first led to the attacker's page, and now leads to the victim: what DNS rebinding does. The name
// stays, so for the browser both are one origin.
func rebound(t *testing.T, victim string, p plan) string {
	t.Helper()
	target, err := url.Parse(victim)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/attack" {
			p.serve(w)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// chromium starts a Chromium without a window, which ends with the test.
func chromium(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	program := os.Getenv("CHROMIUM")
	if program == "" {
		program = "chromium"
	}
	path, err := exec.LookPath(program)
	require.NoError(t, err, "install Chromium (Debian: apt-get install chromium), or name one in CHROMIUM")
	return exec.CommandContext(t.Context(), path, append([]string{"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--user-data-dir=" + t.TempDir()}, arguments...)...)
}

func TestAStrangersPageInChromium(t *testing.T) {
	t.Parallel()
	s := setup(t)
	orders := s.client.Endpoint(client.Orders)
	a := &attacker{reads: map[string]map[string]string{}}
	open := httptest.NewServer(a) // a server without protection: what the page sends does arrive
	t.Cleanup(open.Close)
	collector := open.URL
	changes := []string{orders.Public + "/orders/" + s.order.OrderID + "/cancel", orders.Admin + "/consumers/pause?for=600",
		fmt.Sprintf("%s/dead-letters/%d/discard", orders.Admin, s.letter)}

	// Under a name of its own, each server is asked by a page that its browser takes for the server's.
	victims := []struct {
		name, at string
		changes  []string
		reads    []string
	}{
		{"orders", orders.Public, changes[:1], []string{"/orders", "/orders/" + s.order.OrderID, "/openapi.json"}},
		{"admin", orders.Admin, changes[1:], []string{"/dead-letters", "/metrics", "/consumers", "/readyz"}},
		{"rest", s.rest, nil, []string{"/topics", "/brokers"}},
		{"chart", s.chart, nil, []string{"/", "/windows", "/stream"}},
	}
	mine := plan{Name: "own", Collector: collector, Forms: append([]string{open.URL + "/control"}, changes...), Blobs: [][]string{
		{open.URL + "/control", "{}"},
		{orders.Public + "/orders", `{"user_id":"mallory","total":1}`},
		{s.rest + "/topics/orders", `{"records":[{"value":{"event":"order_placed","order_id":"m","user_id":"mallory","total":1}}]}`},
	}, Reads: []string{orders.Public + "/orders", orders.Admin + "/metrics", s.rest + "/topics", s.chart + "/windows"}}
	var rules []string
	for _, v := range victims {
		host := v.name + ".evil.example"
		p := plan{Name: v.name, Collector: collector, Reads: v.reads}
		for _, change := range v.changes {
			p.Blobs = append(p.Blobs, []string{strings.TrimPrefix(change, v.at), ""})
		}
		rules = append(rules, fmt.Sprintf("MAP %s:80 %s", host, rebound(t, v.at, p)))
		mine.Frames = append(mine.Frames, "http://"+host+"/attack")
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { mine.serve(w) }))
	t.Cleanup(page.Close)
	rules = append(rules, "MAP evil.example:80 "+strings.TrimPrefix(page.URL, "http://"))

	browser := chromium(t, "--host-resolver-rules="+strings.Join(rules, ","), "http://evil.example/")
	require.NoError(t, browser.Start())
	t.Cleanup(func() { _ = browser.Process.Kill(); _ = browser.Wait() })
	testkit.Eventually(t, func() error { return a.done(len(victims) + 1) })

	a.mu.Lock()
	defer a.mu.Unlock()
	require.Contains(t, a.received, `POST /control type="application/x-www-form-urlencoded" site="cross-site"`, "the form arrived where nothing protects")
	require.Contains(t, a.received, `POST /control type="" site="cross-site"`, "and so did the Blob, without a type")
	for url, text := range a.reads["own"] {
		require.NotContains(t, text, s.order.OrderID, url)
		require.Contains(t, text, "TypeError", "the page sees nothing of %s", url)
	}
	for _, v := range victims {
		for _, path := range v.reads {
			text := a.reads[v.name][path]
			if path == "/readyz" { // answered under every name, without its details
				require.Contains(t, text, `"postgres":"ok"`)
				require.NotContains(t, text, "lag")
				continue
			}
			require.Contains(t, text, "basic 421 ", "%s%s", v.name, path)
			require.NotContains(t, text, s.order.OrderID)
		}
	}
	s.untouched()
	s.goesOn()
}

// goesOn does with curl, and with the client of pas, what the page was refused.
func (s *site) goesOn() {
	s.t.Helper()
	orders := s.client.Endpoint(client.Orders)
	curl := func(arguments ...string) string {
		out, err := exec.CommandContext(s.t.Context(), "curl", append([]string{"-sS", "--fail-with-body", "--max-time", "30"}, arguments...)...).CombinedOutput()
		require.NoError(s.t, err, "curl %s: %s", arguments, out)
		return string(out)
	}
	require.Contains(s.t, curl(orders.Public+"/orders"), s.order.OrderID)
	require.Contains(s.t, curl(s.rest+"/topics"), "orders")
	require.Contains(s.t, curl(s.chart+"/"), "pas windows")
	curl("-X", "POST", orders.Admin+"/consumers/pause?for=1")
	curl("-X", "POST", orders.Admin+"/consumers/resume")
	curl("-H", "Content-Type: application/json", "-d", `{"user_id":"eve","total":1}`, orders.Public+"/orders")
	curl("-X", "POST", fmt.Sprintf("%s/dead-letters/%d/discard", orders.Admin, s.letter))
	_, err := s.client.PauseConsumers(s.t.Context(), client.Orders, time.Second)
	require.NoError(s.t, err)
	_, err = s.client.ResumeConsumers(s.t.Context(), client.Orders)
	require.NoError(s.t, err)
	_, err = s.client.Cancel(s.t.Context(), s.order.OrderID)
	require.NoError(s.t, err)
}

// The scripts of /docs run under its Content-Security-Policy: they read the OpenAPI document, which nothing else here does.
func TestTheDocumentationWorksInChromium(t *testing.T) {
	t.Parallel()
	s := setup(t)
	at := s.client.Endpoint(client.Orders)
	read := func() error {
		if _, text := s.call(http.MethodGet, at.Admin+"/metrics", ""); !strings.Contains(text, `route="/openapi.json"`) {
			return errors.New("the page has not read the document")
		}
		return nil
	}
	require.Error(t, read())
	browser := chromium(t, at.Public+"/docs")
	require.NoError(t, browser.Start())
	t.Cleanup(func() { _ = browser.Process.Kill(); _ = browser.Wait() })
	testkit.Eventually(t, read)
}
