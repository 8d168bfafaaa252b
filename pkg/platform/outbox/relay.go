package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/platform/bus"
)

// The defaults of Config.
const (
	defaultGrace       = 2 * time.Second
	defaultPoll        = 500 * time.Millisecond
	defaultDrain       = 5 * time.Second
	defaultConcurrency = 4
	defaultMaxRows     = 10_000
	defaultMaxBytes    = 32 << 20
)

// Config configures a Relay. Pool and Publisher are needed; zero stands for the default of the rest.
type Config struct {
	Pool      *pgxpool.Pool
	Publisher bus.Publisher
	Log       *slog.Logger          // nil = nobody
	Metrics   prometheus.Registerer // nil = not measured
	Grace     time.Duration         // how long a committed row is left to the memory path before recovery publishes it; 2 s
	Poll      time.Duration         // how often recovery looks; 500 ms
	// DrainTimeout bounds what Run still publishes after its context ended; 5 s. What is left stays in the table.
	DrainTimeout time.Duration
	Concurrency  int // how many calls publish at a time, each what is ready; 4
	MaxRows      int // how many rows may be in memory; 10,000
	MaxBytes     int // how many bytes of messages may be in memory; 32 MiB
}

// Relay publishes outbox rows: those handed over in memory at once, those left behind within Grace and Poll.
type Relay struct {
	cfg     Config
	memory  *memory
	front   *front
	metrics *metrics
	// publishes tells that the last try to publish worked. Before the first try it is false.
	publishes atomic.Bool
}

// NewRelay makes a relay; Run runs it. Until then, rows handed over wait in the table.
func NewRelay(cfg Config) *Relay {
	setDefault(&cfg.Grace, defaultGrace)
	setDefault(&cfg.Poll, defaultPoll)
	setDefault(&cfg.DrainTimeout, defaultDrain)
	setDefault(&cfg.Concurrency, defaultConcurrency)
	setDefault(&cfg.MaxRows, defaultMaxRows)
	setDefault(&cfg.MaxBytes, defaultMaxBytes)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	f := newFront(cfg.Pool, cfg.Log)
	return &Relay{cfg: cfg, memory: newMemory(cfg.MaxRows, cfg.MaxBytes), front: f, metrics: newMetrics(cfg.Metrics, f)}
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Enqueue hands over committed rows. It never blocks: what does not fit in memory is published from the table.
func (r *Relay) Enqueue(rows ...Row) {
	if spilled := r.memory.add(rows); spilled > 0 {
		r.metrics.spilled.Add(float64(spilled))
	}
}

// Stuck returns when the oldest message in the outbox was put there, while nothing gets out: the last try to publish failed,
// or there was none yet. It is zero while messages get out, and when there is none.
func (r *Relay) Stuck(ctx context.Context) (since time.Time, err error) {
	if r.publishes.Load() {
		return time.Time{}, nil
	}
	_, since, err = r.front.advance(ctx)
	return since, err
}

// Run publishes until ctx ends, then finishes what is in memory, for DrainTimeout at most. It returns nil: what it could
// not do stays in the table for the next one.
func (r *Relay) Run(ctx context.Context) error {
	// Publishing and deleting outlive ctx by the drain: what was published is not to be published again by the next one.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()

	var publishers, deleter, recovery sync.WaitGroup
	published := make(chan []Row, r.cfg.Concurrency)
	for range r.cfg.Concurrency {
		publishers.Go(func() { r.publishLanes(working, published) })
	}
	deleter.Go(func() { r.deletePublished(working, published) })
	recovery.Go(func() { r.recover(ctx, working) })

	<-ctx.Done()
	r.memory.stop()
	drained := make(chan struct{})
	timer := time.AfterFunc(r.cfg.DrainTimeout, stop)
	go func() {
		defer close(drained)
		publishers.Wait()
		close(published)
		deleter.Wait()
	}()
	<-drained
	recovery.Wait()
	timer.Stop()
	if left := r.memory.len(); left > 0 {
		r.cfg.Log.Warn(fmt.Sprintf("%d messages stay in the outbox for the next start", left))
	}
	return nil
}
