package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout bounds one readiness check: a dependency that hangs is one that is not ready.
const checkTimeout = time.Second

// Check is one named readiness check. It should return when its context ends; a check that outlives its context is abandoned:
// it counts as failed, and its goroutine lives until it returns. Run is called by several requests at the same time. An error
// with a method Passed that returns true is a remark: the check passes, and /readyz shows its text.
type Check struct {
	Name     string
	Run      func(ctx context.Context) error
	Requests bool // without this dependency the service can answer no request
}

// Health answers /livez (no dependencies), /readyz (each check by name; 503 when one fails or while draining) and
// /readyz?for=requests, the same with only those checks that requests need. A load balancer asks the latter: a dependency that
// all instances share, and no request needs, must not take all of them out at once.
//
// Only an operator sees an error's text: it names hosts, roles and files. Everybody else sees the names of the checks, each with
// "ok" or "failed".
//
// The checks of one request run side by side, each within checkTimeout, so /readyz answers in about a second at the latest.
type Health struct {
	checks   []Check
	draining atomic.Bool
}

// NewHealth makes a Health that is not draining.
func NewHealth(checks ...Check) *Health { return &Health{checks: checks} }

// Drain makes /readyz answer 503 from now on, so a load balancer sends no more requests. It cannot be undone. /livez stays 200:
// an orchestrator would otherwise kill a service that is still finishing its work.
func (h *Health) Drain() { h.draining.Store(true) }

// Mount wraps next with /livez and /readyz. When gatherer is not nil it adds what only an operator may see: the texts of /readyz,
// /metrics, and Go's profiles below /debug/pprof/. The caller passes a gatherer for the admin server only.
func (h *Health) Mount(next http.Handler, gatherer prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	onlyRead := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, HEAD")
		problem(w, http.StatusMethodNotAllowed, r.Method+" is not allowed here; allowed: GET, HEAD")
	}
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		h.ready(w, r, gatherer != nil && !isStranger(r.Context()))
	})
	mux.HandleFunc("/livez", onlyRead)
	mux.HandleFunc("/readyz", onlyRead)
	if gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
		mux.HandleFunc("/metrics", onlyRead)
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

func (h *Health) ready(w http.ResponseWriter, r *http.Request, operator bool) {
	checks := make(map[string]string, len(h.checks))
	ready := true
	var mu sync.Mutex
	var all sync.WaitGroup
	purpose := r.URL.Query().Get("for")
	if purpose != "" && purpose != "requests" {
		answer(w, http.StatusBadRequest, map[string]any{"status": "for takes nothing but requests"})
		return
	}
	for _, c := range h.checks {
		if purpose == "requests" && !c.Requests {
			continue
		}
		all.Go(func() {
			result := "ok"
			err := bounded(r.Context(), c.Run)
			var remark interface{ Passed() bool }
			passed := err == nil || errors.As(err, &remark) && remark.Passed()
			switch {
			case err != nil && operator:
				result = err.Error()
			case !passed:
				result = "failed"
			}
			mu.Lock()
			defer mu.Unlock()
			checks[c.Name] = result
			ready = ready && passed
		})
	}
	all.Wait()
	status, code := "ready", http.StatusOK
	if !ready {
		status, code = "not ready", http.StatusServiceUnavailable
	}
	if h.draining.Load() {
		status, code = "draining", http.StatusServiceUnavailable
	}
	answer(w, code, map[string]any{"status": status, "checks": checks})
}

// bounded runs a check, and returns its error, or the context's when the check takes longer than checkTimeout.
func bounded(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- check(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}
