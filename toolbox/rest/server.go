package rest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/httpx"
)

// Server serves the API. Make one with New, run it with Serve.
type Server struct {
	cfg       Config
	client    *kgo.Client // produces and asks; consumers have their own
	admin     *kadm.Client
	known     partitions
	memory    *memory
	consumers *consumers
	counts    counts
	closeOnce sync.Once
}

// Stats is what a server did so far.
type Stats struct {
	Produced  int64 `json:"produced"`  // records acknowledged by Kafka
	Refused   int64 `json:"refused"`   // records not written: Kafka did not take them
	Consumed  int64 `json:"consumed"`  // records in answers that were sent
	Skipped   int64 `json:"skipped"`   // records that are no JSON, passed over
	TooLarge  int64 `json:"too_large"` // batches that inflate too far, passed over
	Consumers int64 `json:"consumers"` // instances created
	Expired   int64 `json:"expired"`   // of these, closed because they were idle
}

type counts struct {
	produced, refused, consumed, skipped, tooLarge, created, expired atomic.Int64
}

// New returns a server that is not connected yet, or all problems of cfg.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	options, err := producerOptions(cfg)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, client: client, admin: kadm.NewClient(client), memory: &memory{limit: cfg.Memory}}
	s.admin.SetTimeoutMillis(int32(kafkaTime.Milliseconds()))
	s.consumers = newConsumers(s)
	return s, nil
}

// Ping returns an error when Kafka cannot be reached.
func (s *Server) Ping(ctx context.Context) error {
	if err := s.client.Ping(ctx); err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	return nil
}

// Serve serves on l until ctx ends. Then what is being answered is finished, every instance leaves its group, and
// nothing is left running.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer s.Close()
	sweeping, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.consumers.sweep(sweeping) })
	err := httpx.Serve(ctx, l, s.Handler(), s.cfg.Log)
	stop()
	wg.Wait()
	return err
}

// Close closes every instance and lets go of Kafka. Serve does it by itself.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		s.consumers.closeAll()
		s.client.Close()
	})
}

// Stats returns what the server did so far.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{Produced: c.produced.Load(), Refused: c.refused.Load(), Consumed: c.consumed.Load(),
		Skipped: c.skipped.Load(), TooLarge: c.tooLarge.Load(), Consumers: c.created.Load(), Expired: c.expired.Load()}
}

// call answers one request, or returns why not.
type call func(w http.ResponseWriter, r *http.Request) error

// Handler returns the API. Serve uses it.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, c := range map[string]call{
		"GET /{$}":     func(w http.ResponseWriter, _ *http.Request) error { return respond(w, mediaV2, struct{}{}) },
		"GET /brokers": s.brokers,

		"GET /topics":                                        s.topics,
		"GET /topics/{topic}":                                s.topic,
		"POST /topics/{topic}":                               s.produce,
		"GET /topics/{topic}/partitions":                     s.partitions,
		"GET /topics/{topic}/partitions/{partition}":         s.partition,
		"POST /topics/{topic}/partitions/{partition}":        s.produceTo,
		"GET /topics/{topic}/partitions/{partition}/offsets": s.partitionOffsets,

		"POST /consumers/{group}":                                          s.createConsumer,
		"DELETE /consumers/{group}/instances/{instance}":                   s.deleteConsumer,
		"POST /consumers/{group}/instances/{instance}/subscription":        s.with(subscribe),
		"GET /consumers/{group}/instances/{instance}/subscription":         s.with(subscription),
		"DELETE /consumers/{group}/instances/{instance}/subscription":      s.with(unsubscribe),
		"POST /consumers/{group}/instances/{instance}/assignments":         s.with(assign),
		"GET /consumers/{group}/instances/{instance}/assignments":          s.with(assignments),
		"POST /consumers/{group}/instances/{instance}/positions":           s.with(seek),
		"POST /consumers/{group}/instances/{instance}/positions/beginning": s.with(seekToBeginning),
		"POST /consumers/{group}/instances/{instance}/positions/end":       s.with(seekToEnd),
		"POST /consumers/{group}/instances/{instance}/offsets":             s.with(commit),
		"GET /consumers/{group}/instances/{instance}/offsets":              s.with(committed),
		"GET /consumers/{group}/instances/{instance}/records":              s.with(records),
	} {
		mux.Handle(pattern, s.answering(c))
	}
	return routed(mux)
}

// answering turns a call's error into the API's answer.
func (s *Server) answering(c call) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.memory.charge(r, maxProduceBytes)()
		err := c(w, r)
		if err == nil {
			return
		}
		var e *Error
		if !errors.As(err, &e) || e.Status >= http.StatusInternalServerError {
			s.cfg.Log.Error(r.Pattern, "err", err)
		}
		writeError(w, err)
	})
}

// routed answers what the mux has no route for in the API's own format, and no page in a browser: browsers name the page
// in Origin, and a page that reaches this server uses its visitor's way to it, not its own. A slash at the end of a path, as some guides
// write it, means nothing.
func routed(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" {
			writeError(w, failed(codeForbidden, "Pages in a browser are not served."))
			return
		}
		if path, ok := strings.CutSuffix(r.URL.Path, "/"); ok && path != "" {
			u := *r.URL
			u.Path, u.RawPath = path, strings.TrimSuffix(u.RawPath, "/")
			r = r.WithContext(r.Context())
			r.URL = &u
		}
		fallback, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		answer := &statusOnly{header: http.Header{}}
		fallback.ServeHTTP(answer, r)
		if allow := answer.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
		}
		if answer.status < http.StatusBadRequest { // a redirect to the cleaned path
			fallback.ServeHTTP(w, r)
			return
		}
		writeError(w, withStatus(answer.status))
	})
}

// statusOnly is a ResponseWriter that forgets the body.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }

// writable returns an error that says what to do when the topic may not be written.
func (s *Server) writable(topic string) error {
	if slices.Contains(s.cfg.Allow, topic) {
		return nil
	}
	return failed(codeForbidden, "Topic %q may not be written here: start `pas rest` with --allow %s to allow it.", topic, topic)
}
