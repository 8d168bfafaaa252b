package outbox

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/platform/bus"
)

// Config configures a Relay. Pool and Publisher are needed; zero stands for the default of the rest.
type Config struct {
	Pool      *pgxpool.Pool
	Publisher bus.Publisher
	Log       *slog.Logger          // nil = no log
	Metrics   prometheus.Registerer // nil = not measured
	Grace     time.Duration         // how long a committed row is left to the memory path before recovery publishes it; 2 s
	Poll      time.Duration         // how often recovery looks; 500 ms
	// DrainTimeout is how long Run still publishes after its context ended; 5 s. Rows that are left stay in the table.
	DrainTimeout time.Duration
	Concurrency  int // how many calls publish at the same time; 4
	MaxRows      int // how many rows may be in memory; 10,000
	MaxBytes     int // how many bytes of messages may be in memory; 32 MiB
}

// Relay publishes outbox rows: those handed over in memory at once, those left behind within Grace and Poll.
type Relay struct {
	cfg     Config
	memory  *memory
	front   *front
	metrics *metrics
	// publishes is true when the last attempt to publish succeeded, false before the first.
	publishes atomic.Bool
}

// NewRelay makes a relay; Run runs it. Until then, rows handed over wait in the table.
func NewRelay(cfg Config) *Relay {
	cfg.Grace = cmp.Or(cfg.Grace, 2*time.Second)
	cfg.Poll = cmp.Or(cfg.Poll, 500*time.Millisecond)
	cfg.DrainTimeout = cmp.Or(cfg.DrainTimeout, 5*time.Second)
	cfg.Concurrency = cmp.Or(cfg.Concurrency, 4)
	cfg.MaxRows = cmp.Or(cfg.MaxRows, 10_000)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 32<<20)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	f := newFront(cfg.Pool, cfg.Log)
	return &Relay{cfg: cfg, memory: newMemory(cfg.MaxRows, cfg.MaxBytes), front: f, metrics: newMetrics(cfg.Metrics, f)}
}

// Enqueue hands over committed rows. It never blocks: rows that memory does not take are published from the table.
func (r *Relay) Enqueue(rows ...Row) {
	if spilled := r.memory.add(rows); spilled > 0 {
		r.metrics.spilled.Add(float64(spilled))
	}
}

// Stuck returns the time of the oldest row while publishing fails: the last attempt failed, or there was none yet. It
// returns zero while publishing works, and when the outbox is empty.
func (r *Relay) Stuck(ctx context.Context) (since time.Time, err error) {
	if r.publishes.Load() {
		return time.Time{}, nil
	}
	_, since, err = r.front.advance(ctx)
	return since, err
}

// Run publishes until ctx ends, then publishes the rows in memory, for at most DrainTimeout. It returns nil: rows that are
// left stay in the table for the next start.
func (r *Relay) Run(ctx context.Context) error {
	// Publishing and deleting outlive ctx by DrainTimeout, so that the next start does not publish the same rows again.
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
		r.cfg.Log.Warn("messages stay in the outbox for the next start", "messages", left)
	}
	return nil
}
