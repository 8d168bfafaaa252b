package rest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/secretfile"
)

// Server serves the API. Make one with New, run it with Serve once. Its handler may serve any number of requests at a
// time.
type Server struct {
	cfg       Config
	tokens    *secretfile.Watched[[]grant] // nil: callers need no token
	client    *kgo.Client                  // produces and asks; consumers have their own
	admin     *kadm.Client
	known     partitions
	memory    *memory
	consumers *consumers
	counts    counts
	closeOnce sync.Once
}

// Stats counts the records and instances of a server since its start. The numbers only grow.
type Stats struct {
	Produced  int64 `json:"produced"`  // records acknowledged by Kafka
	Refused   int64 `json:"refused"`   // records that Kafka did not accept
	Consumed  int64 `json:"consumed"`  // records in answers that were sent
	Skipped   int64 `json:"skipped"`   // records that are not JSON
	TooLarge  int64 `json:"too_large"` // skipped batches that inflate too far
	Consumers int64 `json:"consumers"` // instances created
	Expired   int64 `json:"expired"`   // of these, closed because they were idle
}

type counts struct {
	produced, refused, consumed, skipped, tooLarge, created, expired atomic.Int64
}

// New returns a server, or all problems of cfg joined. It asks no network: Kafka may be away. The caller must call
// Serve or Close.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	var tokens *secretfile.Watched[[]grant]
	if cfg.TokenFile != "" {
		var err error
		if tokens, err = watchTokens(cfg.Log, cfg.TokenFile); err != nil {
			return nil, &TokenFileError{err}
		}
	}
	options, err := producerOptions(cfg)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, tokens: tokens, client: client, admin: kadm.NewClient(client), memory: &memory{limit: cfg.Memory}}
	s.admin.SetTimeoutMillis(int32(kafkaTime.Milliseconds()))
	s.consumers = newConsumers(s)
	return s, nil
}

// TokenFileError means that the file of tokens cannot be used.
type TokenFileError struct{ err error }

// Error implements error.
func (e *TokenFileError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *TokenFileError) Unwrap() error { return e.err }

// Ping returns an error when Kafka cannot be reached before ctx ends.
func (s *Server) Ping(ctx context.Context) error {
	if err := kafka.Reach(ctx, s.client); err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	return nil
}

// Serve serves on l until ctx ends. Then it finishes the calls in work, lets every instance commit and leave its group,
// and closes the server. No goroutine is left running.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer s.Close()
	sweeping, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.consumers.sweep(sweeping) })
	refuse := func(w http.ResponseWriter, status int, detail string) {
		code := status
		if status == http.StatusForbidden {
			code = codeForbidden
		}
		writeError(w, &Error{Status: status, Code: code, Message: detail})
	}
	err := httpx.Server{Handler: s.Handler(), Edge: s.cfg.Edge, Refuse: refuse, Log: s.cfg.Log}.Serve(ctx, l)
	stop()
	wg.Wait()
	return err
}

// Close closes every instance and the connections to Kafka. Serve calls it; further calls do nothing.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		s.consumers.closeAll()
		s.client.Close()
	})
}

// Stats returns the counts since the start.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{Produced: c.produced.Load(), Refused: c.refused.Load(), Consumed: c.consumed.Load(),
		Skipped: c.skipped.Load(), TooLarge: c.tooLarge.Load(), Consumers: c.created.Load(), Expired: c.expired.Load()}
}

// writable returns nil for a topic that the caller may write, else an error. Without tokens it names the flag to add. No topic may be
// written by default, since records of a stranger in a service's topic can move money.
func (s *Server) writable(ctx context.Context, topic string) error {
	if granted(ctx).writes(topic) {
		return nil
	}
	if s.tokens != nil {
		return failed(codeForbidden, "Topic %q may not be written with this token.", topic)
	}
	return failed(codeForbidden, "Topic %q may not be written here: start `pas rest` with --allow %s to allow it.", topic, topic)
}
