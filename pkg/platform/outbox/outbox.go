// Package outbox keeps messages in the transaction that decided them and publishes them after it committed.
package outbox

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
)

// Row is a stored message. Hand it to Relay.Enqueue after the commit.
type Row struct {
	ID     int64
	Record messages.Record
}

// Add stores msgs in tx, in order.
func Add(ctx context.Context, tx pgx.Tx, msgs ...messages.Message) ([]Row, error) { panic("skeleton") }

// Config configures a Relay.
type Config struct {
	Pool      *pgxpool.Pool
	Publisher bus.Publisher
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	Grace     time.Duration // how long a committed row is left to the memory path before recovery publishes it
	Poll      time.Duration
}

// Relay publishes outbox rows: those handed over in memory at once, those left behind by a crash within Grace.
type Relay struct{}

// NewRelay makes a relay; Run runs it.
func NewRelay(cfg Config) *Relay { panic("skeleton") }

// Enqueue hands over committed rows. It never blocks: what does not fit in memory is published from the table.
func (r *Relay) Enqueue(rows ...Row) { panic("skeleton") }

// Run publishes until ctx ends, then finishes what is in flight, bounded by the publisher's context.
func (r *Relay) Run(ctx context.Context) error { panic("skeleton") }
