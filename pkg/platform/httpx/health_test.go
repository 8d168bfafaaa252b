package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

type readiness struct {
	Status string
	Checks map[string]string
}

func healthy(name string) Check {
	return Check{Name: name, Run: func(context.Context) error { return nil }}
}

// ask asks a mounted Health.
func ask(t *testing.T, h *Health, path string) (int, readiness) {
	t.Helper()
	w := httptest.NewRecorder()
	h.Mount(http.NotFoundHandler(), prometheus.NewRegistry()).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	var body readiness
	require.NoError(t, json.NewDecoder(w.Body).Decode(&body))
	return w.Code, body
}

func TestReadyNamesEveryCheck(t *testing.T) {
	t.Parallel()
	code, body := ask(t, NewHealth(healthy("postgres"), healthy("kafka")), "/readyz")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, readiness{"ready", map[string]string{"postgres": "ok", "kafka": "ok"}}, body)
}

func TestOneFailingCheckIsEnoughToBeNotReady(t *testing.T) {
	t.Parallel()
	away := Check{Name: "kafka", Run: func(context.Context) error { return errors.New("no broker") }}
	code, body := ask(t, NewHealth(healthy("postgres"), away), "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, readiness{"not ready", map[string]string{"postgres": "ok", "kafka": "no broker"}}, body)
}

func TestReadyForRequestsAsksOnlyWhatRequestsNeed(t *testing.T) {
	t.Parallel()
	var lost error
	postgres := Check{Name: "postgres", Run: func(context.Context) error { return lost }, Requests: true}
	kafka := Check{Name: "kafka", Run: func(context.Context) error { panic("asked") }}
	h := NewHealth(postgres, kafka)
	code, body := ask(t, h, "/readyz?for=requests")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, readiness{"ready", map[string]string{"postgres": "ok"}}, body)

	lost = errors.New("no server")
	code, body = ask(t, h, "/readyz?for=requests")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, readiness{"not ready", map[string]string{"postgres": "no server"}}, body)

	lost = nil
	h.Drain()
	code, body = ask(t, h, "/readyz?for=requests")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "draining", body.Status)

	code, body = ask(t, h, "/readyz?for=request")
	require.Equal(t, http.StatusBadRequest, code)
	require.Equal(t, "for takes nothing but requests", body.Status)
}

func TestACheckThatHangsIsGivenUpOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		hung := Check{Name: "kafka", Run: func(context.Context) error { <-gone; return nil }} // looks at no context
		slow := Check{Name: "postgres", Run: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		start := time.Now()
		code, body := ask(t, NewHealth(hung, slow, healthy("disk")), "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, code)
		const late = "context deadline exceeded"
		require.Equal(t, readiness{"not ready", map[string]string{"kafka": late, "postgres": late, "disk": "ok"}}, body)
		require.Equal(t, time.Second, time.Since(start), "checks run side by side")
		close(gone)
	})
}

func TestDrainingIsNotReadyButAlive(t *testing.T) {
	t.Parallel()
	h := NewHealth(healthy("postgres"))
	h.Drain()
	code, body := ask(t, h, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, readiness{"draining", map[string]string{"postgres": "ok"}}, body)
	code, body = ask(t, h, "/livez")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok", body.Status)
}

func TestAliveAsksNoDependency(t *testing.T) {
	t.Parallel()
	asked := Check{Name: "kafka", Run: func(context.Context) error { panic("asked") }}
	code, _ := ask(t, NewHealth(asked), "/livez")
	require.Equal(t, http.StatusOK, code)
}

func TestHealthIsOnlyRead(t *testing.T) {
	t.Parallel()
	_, api := NewAPI("things", "1", "test")
	h := NewHealth(healthy("postgres")).Mount(api, prometheus.NewRegistry())
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", path, nil))
		require.Equal(t, "GET, HEAD", w.Header().Get("Allow"), path)
		problemOf(t, w.Result(), 405)
		w = httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("HEAD", path, nil))
		require.Equal(t, http.StatusOK, w.Code, path)
	}
}

func TestMetricsAndProfilesAreOnlyWhereAGathererIsGiven(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	things := prometheus.NewCounter(prometheus.CounterOpts{Name: "things_total", Help: "Things."})
	reg.MustRegister(things)
	things.Inc()
	_, api := NewAPI("things", "1", "test")

	w := httptest.NewRecorder()
	NewHealth().Mount(api, reg).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "things_total 1")

	w = httptest.NewRecorder()
	NewHealth().Mount(api, reg).ServeHTTP(w, httptest.NewRequest("GET", "/debug/pprof/goroutine?debug=1", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "goroutine profile")

	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/profile", "/debug/pprof/trace"} {
		w = httptest.NewRecorder()
		NewHealth().Mount(api, nil).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		problemOf(t, w.Result(), 404)
	}
}

type remark struct{}

func (remark) Error() string { return "few partitions" }
func (remark) Passed() bool  { return true }

func TestARemarkIsToldAndIsNoFailure(t *testing.T) {
	t.Parallel()
	code, body := ask(t, NewHealth(healthy("postgres"), Check{Name: "topics", Run: func(context.Context) error { return remark{} }}), "/readyz")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, readiness{"ready", map[string]string{"postgres": "ok", "topics": "few partitions"}}, body)
}

// The text of an error names hosts, roles and files, which are nobody's business but the operator's.
func TestOnlyTheOperatorSeesWhyACheckFails(t *testing.T) {
	t.Parallel()
	h := NewHealth(healthy("postgres"), Check{Name: "kafka", Run: func(context.Context) error { return errors.New("user=orders host=10.0.0.7") }},
		Check{Name: "topics", Run: func(context.Context) error { return remark{} }})
	for _, stranger := range []bool{false, true} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/readyz", nil)
		var operators prometheus.Gatherer
		if stranger { // on the admin port, under a name that is not allowed
			operators, r.Host = prometheus.NewRegistry(), "evil.example"
		}
		Edge{}.Guard(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, slog.New(slog.DiscardHandler), nil, h.Mount(http.NotFoundHandler(), operators)).ServeHTTP(w, r)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.JSONEq(t, `{"status":"not ready","checks":{"postgres":"ok","kafka":"failed","topics":"ok"}}`, w.Body.String())
	}
}
