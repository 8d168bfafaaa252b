package scenario_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func setup(t *testing.T) *stack.Stack {
	t.Helper()
	s, err := stack.Start(t.Context(), stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// requireNoticed expects the scenario to fail with the text, in an environment that is not as it should be. A wait that never
// ends takes the whole patience, so the first is short. On a busy machine a short one fails an earlier step.
func requireNoticed(t *testing.T, s scenario.Scenario, text string, env func() *scenario.Env) {
	t.Helper()
	var err error
	for _, patience := range []time.Duration{5 * time.Second, 20 * time.Second, time.Minute} {
		e := env()
		e.Patience = patience
		if err = s.Run(t.Context(), e); err == nil || strings.Contains(err.Error(), text) {
			break
		}
	}
	require.ErrorContains(t, err, text)
}

// lie changes a service's decoded JSON answer on its way to the scenario; ask counts how often the path was asked. It
// returns what is passed on.
type lie func(r *http.Request, ask int, resp *http.Response, body any) any

// lying returns the environment with a proxy in front of service that tells the lie.
func lying(t *testing.T, env *scenario.Env, service string, tell lie) *scenario.Env {
	t.Helper()
	endpoints := client.Endpoints{}
	for _, name := range messages.Services() {
		endpoints[name] = env.Client.Endpoint(name)
	}
	asked := make(chan map[string]int, 1)
	asked <- map[string]int{}
	front := func(target string) string {
		u, err := url.Parse(target)
		require.NoError(t, err)
		proxy := httputil.NewSingleHostReverseProxy(u)
		transport := http.DefaultTransport.(*http.Transport).Clone()
		t.Cleanup(transport.CloseIdleConnections)
		proxy.Transport = transport
		proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
		proxy.ModifyResponse = func(resp *http.Response) error {
			counts := <-asked
			what := resp.Request.Method + " " + resp.Request.URL.Path
			counts[what]++
			ask := counts[what]
			asked <- counts
			return rewrite(resp, func(body any) any { return tell(resp.Request, ask, resp, body) })
		}
		server := httptest.NewServer(proxy)
		t.Cleanup(server.Close)
		return server.URL
	}
	endpoints[service] = client.Endpoint{Public: front(endpoints[service].Public), Admin: front(endpoints[service].Admin)}
	lied := *env
	lied.Client = client.New(endpoints)
	t.Cleanup(lied.Client.Close)
	return &lied
}

func rewrite(resp *http.Response, change func(body any) any) error {
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	var body any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&body) == nil {
		if raw, err = json.Marshal(change(body)); err != nil {
			return err
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	resp.ContentLength = int64(len(raw))
	resp.Header.Set("Content-Length", strconv.Itoa(len(raw)))
	return nil
}

type object = map[string]any
