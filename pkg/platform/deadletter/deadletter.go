// Package deadletter parks messages that can never succeed, with all that is needed to look at them and try again.
package deadletter

import (
	"context"
	"log/slog"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
)

// Letter is a message that was parked.
type Letter struct {
	ID       int64
	Record   messages.Record
	Reason   string // code, from fault.Reason
	Detail   string // the error's text
	Stack    string // of a panic, else ""
	State    string // parked, replaying, replayed, discarded
	ParkedAt time.Time
}

// Store keeps the service's dead_letters table.
type Store struct{ pool *pgxpool.Pool }

// NewStore returns a store over the service's schema.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// Park stores a message that can never succeed. Parking the same record again changes nothing.
func (s *Store) Park(ctx context.Context, r messages.Record, reason, detail, stack string) error {
	return Park(ctx, s.pool, r, reason, detail, stack)
}

// Park is Store.Park inside the caller's transaction.
func Park(ctx context.Context, q pgdb.Querier, r messages.Record, reason, detail, stack string) error {
	panic("skeleton")
}

// Replayer puts one record through its use case again; bus.Consumer is one.
type Replayer interface {
	Handle(ctx context.Context, r messages.Record) error
}

// Worker replays the messages that an operator asked to replay: POST /dead-letters/{id}/replay only marks the row.
type Worker struct{}

// NewWorker makes a worker; Run runs it until ctx ends.
func NewWorker(store *Store, replayer Replayer, log *slog.Logger) *Worker { panic("skeleton") }

// Run replays until ctx ends.
func (w *Worker) Run(ctx context.Context) error { panic("skeleton") }

// Register adds GET /dead-letters, GET /dead-letters/{id}, POST …/replay and POST …/discard to the admin API.
func Register(api huma.API, store *Store, worker *Worker) { panic("skeleton") }

// Collector returns the gauge of parked messages by reason, read from the table at each scrape.
func (s *Store) Collector() prometheus.Collector { panic("skeleton") }
