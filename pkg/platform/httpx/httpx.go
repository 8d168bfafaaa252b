// Package httpx is the HTTP side that all services share: one way to register operations, pages and cursors, strict JSON bodies,
// RFC 9457 problems, health, documentation, and a server that bounds its memory.
//
// A request passes these steps: Edge.Guard refuses pages of other sites; the crowd bounds the memory; Health.Mount answers
// /livez, /readyz and /metrics; tracing; Metrics.Measure counts it; the handler of NewAPI finds its route and checks its body;
// huma checks its parameters by their tags; the operation answers.
package httpx

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	swgui "github.com/swaggest/swgui/v5emb"
)

// limits bound the time of a client and of a stop, and the size of a header.
type limits struct {
	header   time.Duration // to send a request's header
	request  time.Duration // to send a whole request; below stop, so that a slow sender cannot spoil a graceful stop
	answer   time.Duration // to read the answer, from the end of the header on; streams set deadlines of their own
	idle     time.Duration // between two requests of a connection
	leftover time.Duration // to send the body of a refused request, so that the connection can be used again
	stop     time.Duration // for the whole graceful stop
	streams  time.Duration // from the begin of stop until the contexts of requests end
	maxBytes int           // of a request's header; net/http reads 4 KiB more
	holds    capacity
	early    *Early                          // may be nil
	metrics  *Metrics                        // of refused clients; may be nil
	guard    func(http.Handler) http.Handler // around everything; nil = none
}

func standardLimits() limits {
	return limits{header: 5 * time.Second, request: 6 * time.Second, answer: 45 * time.Second, idle: 2 * time.Minute,
		leftover: 100 * time.Millisecond, stop: 8 * time.Second, streams: time.Second, maxBytes: 12 << 10}
}

// configureHuma sets huma's switches, which hold for the whole process:
//   - "USER_ID" is an unknown field, not another spelling of "user_id". encoding/json accepts either, and the last one wins
//     unseen by the validation.
//   - In the documents a list is never null.
//   - A parameter that breaks a rule is answered 400, see Register.
var configureHuma = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	standard := huma.NewErrorWithContext
	huma.NewErrorWithContext = func(ctx huma.Context, status int, detail string, errs ...error) huma.StatusError {
		if status == http.StatusUnprocessableEntity && len(errs) > 0 && !slices.ContainsFunc(errs, isOfBody) {
			status, detail = http.StatusBadRequest, wrongParam
		}
		return standard(ctx, status, detail, errs...)
	}
})

// NewAPI returns a huma API (OpenAPI 3.1 at /openapi.json, a page at /docs without outside hosts) and the handler that
// serves it: strict JSON bodies up to 64 KiB, RFC 9457 problem+json for every error, 404 and 405 (with Allow) included. A panic
// of an operation is answered 500 and logged, and the server lives on.
func NewAPI(title, version, description string) (huma.API, http.Handler) {
	configureHuma()
	mux := http.NewServeMux()
	cfg := huma.DefaultConfig(title, version)
	cfg.Info.Description = description
	cfg.DocsPath = ""
	cfg.Transformers = append(cfg.Transformers, discreet)
	cfg.CreateHooks = nil // no "$schema" in answers: they have the fields of the contract and no others
	api := humago.New(mux, cfg)
	api.UseMiddleware(explicitQuery(api), unslashed)
	docs := ownPage(swgui.New(title, "/openapi.json", "/docs"))
	mux.Handle("GET /docs", docs)
	mux.Handle("GET /docs/", docs)
	return api, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { answerPanic(w, r, recover()) }()
		r = marked(r)
		refuse := func(status int) {
			detail := "there is nothing at " + r.URL.Path
			if allowed := w.Header().Get("Allow"); allowed != "" {
				detail = fmt.Sprintf("%s is not allowed here; allowed: %s", r.Method, allowed)
			}
			problem(w, status, detail)
		}
		if Routed(mux, w, r, refuse) && strictBody(w, r) {
			mux.ServeHTTP(w, r)
		}
	})
}

// ownPage lets a browser load the page's own files, run its inline script and call the API that it describes.
func ownPage(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "+
			"img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'")
		w.Header().Set("Cache-Control", "no-cache") // it is about nobody
		page.ServeHTTP(w, r)
	})
}

// Routed reports whether mux has a route for r. Then it names the route in r.Pattern. A request that is rejected on its way to
// the handler is so counted under its route. A request without a route is answered: redirected to its cleaned path as mux
// does, or given to refuse with the status 404, or with 405 and mux's Allow header.
func Routed(mux *http.ServeMux, w http.ResponseWriter, r *http.Request, refuse func(status int)) bool {
	fallback, pattern := mux.Handler(r)
	if pattern != "" {
		r.Pattern = pattern
		return true
	}
	answer := &statusOnly{header: http.Header{}}
	fallback.ServeHTTP(answer, r)
	if answer.status < http.StatusBadRequest {
		fallback.ServeHTTP(w, r)
		return false
	}
	if allow := answer.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
	}
	refuse(answer.status)
	return false
}

// statusOnly is a ResponseWriter that keeps no body.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }

// discreet removes the cause of an unforeseen error from its answer: the cause may name tables, hosts or other clients' data.
func discreet(_ huma.Context, _ string, v any) (any, error) {
	if e, ok := v.(*huma.ErrorModel); ok && e.Status >= http.StatusInternalServerError {
		e.Errors = nil
	}
	return v, nil
}

// answerPanic answers a panic with 500 and writes its value and stack into the server's log. http.ErrAbortHandler panics again:
// net/http closes the connection for it, and that is its purpose.
func answerPanic(w http.ResponseWriter, r *http.Request, v any) {
	switch v {
	case nil:
		return
	case http.ErrAbortHandler:
		panic(v)
	}
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ErrorLog != nil {
		server.ErrorLog.Printf("panic in %s: %v\n%s", r.Pattern, v, debug.Stack())
	}
	problem(w, http.StatusInternalServerError, "an unexpected error happened")
}

// problem writes an RFC 9457 document, with the status's own name as its title.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail})
}

// Server is an HTTP server of a process.
type Server struct {
	Handler http.Handler
	Role    Role     // decides its part of the process's memory; "" = Public
	Edge    Edge     // the names of the server
	Refuse  Refusal  // answers what the edge refuses; nil = an RFC 9457 problem
	Early   *Early   // may be nil
	Metrics *Metrics // of refused clients; may be nil
	Log     *slog.Logger
}

// Serve serves on l with the standard time-outs and limits until ctx ends, then stops gracefully: it accepts nothing
// more, and requests in work have a moment to finish. Then the contexts of all that still run end, so requests that only wait
// for news answer too. Errors without a request to answer, and every panic, go to the log. Clients for whom the process has no
// memory are refused; its limit decides the capacity, so it has to be set before.
//
//	serving --ctx ends--> no new connections --1 s--> contexts end, fresh connections closed --8 s at most--> all closed
//
// It returns nil after a graceful stop. An error means that serving ended by itself, or that requests were cut off.
func (s Server) Serve(ctx context.Context, l net.Listener) error {
	role := cmp.Or(s.Role, Public)
	within := standardLimits()
	within.holds, within.early, within.metrics = capacityOf(debug.SetMemoryLimit(-1), role), s.Early, s.Metrics
	within.guard = func(next http.Handler) http.Handler { return s.Edge.Guard(l.Addr(), s.Log, s.Refuse, next) }
	return serve(ctx, l, s.Handler, newCrowd(within, role, s.Log), within)
}

// serve is Serve with limits of the caller. The requests' base context outlives ctx: the end of ctx begins a graceful stop,
// and must not cancel the requests that the stop waits for.
func serve(ctx context.Context, l net.Listener, handler http.Handler, crowd *crowd, within limits) error {
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	handler = crowd.admit(handler)
	if within.guard != nil {
		handler = within.guard(handler)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: within.header,
		ReadTimeout:       within.request,
		WriteTimeout:      within.answer,
		IdleTimeout:       within.idle,
		MaxHeaderBytes:    within.maxBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       withConnection,
		ConnState:         crowd.state,
		ErrorLog:          slog.NewLogLogger(crowd.log.Handler(), slog.LevelError),
	}
	l = &door{Listener: l, crowd: crowd, closed: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	endStreams := time.AfterFunc(within.streams, func() {
		end()
		crowd.closeFresh() // net/http would wait 5 s for their headers
	})
	defer endStreams.Stop()
	shutdown, cancel := context.WithTimeout(context.Background(), within.stop)
	defer cancel()
	err := server.Shutdown(shutdown)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop serving %s: %w", l.Addr(), err), server.Close())
	}
	<-served
	return err
}

// isJSON reports whether the content type names JSON. A body without a type is refused: a web page may send it to any server.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "application/json" || strings.HasSuffix(media, "+json")
}
