// Package app has the use cases of shipping.
//
// The state is the inbox: a row per order, changed by guarded statements. A record that is redelivered finds the row as it left
// it, changes nothing, and returns the same message with the same id. So each step may be repeated at any time.
package app

import (
	"context"
	"errors"
	"time"

	"pasdetrois/examples/shipping/internal/domain"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/bus"
)

// Store keeps shipments. store.Store is the one over Postgres.
type Store interface {
	// Pack keeps each shipment whose order has none yet, and returns the status that each order's shipment has now.
	Pack(ctx context.Context, shipments []domain.Shipment) (map[string]domain.Status, error)
	// Stop moves the shipments of cancelled orders by Status.Stop, and keeps a stopped one for an order that has none.
	Stop(ctx context.Context, shipments []domain.Shipment) error
	// ShipDue moves at most limit shipments that were begun before the time from packing to shipped, and returns how many.
	ShipDue(ctx context.Context, before, now time.Time, limit int) (int, error)
	// Shipment returns the shipment of an order, or ErrNotFound. only is the user whose shipment it must be; nil = anybody.
	Shipment(ctx context.Context, orderID string, only *string) (domain.Shipment, error)
}

// ErrNotFound means that no record about the order has come yet.
var ErrNotFound = errors.New("no such shipment")

// App is the use cases. Safe for concurrent use.
type App struct {
	store   Store
	packing time.Duration
	now     func() time.Time
}

// New makes the use cases. packing is the time that a parcel needs before it leaves.
func New(store Store, packing time.Duration, now func() time.Time) *App {
	return &App{store: store, packing: packing, now: now}
}

// Table is the events that shipping consumes, each with its use case.
func (a *App) Table() bus.Table {
	return bus.Table{bus.On(a.OnOrderConfirmed), bus.On(a.OnOrderCancelled)}
}

// shipAtOnce bounds one transaction of ShipDue.
const shipAtOnce = 500

// ShipDue ships some parcels that are packed, and returns how many. Call it until it returns 0.
func (a *App) ShipDue(ctx context.Context) (int, error) {
	now := a.now()
	return a.store.ShipDue(ctx, now.Add(-a.packing), now, shipAtOnce)
}

// Shipment returns the shipment of an order, or ErrNotFound. A shipment that the caller may not read is not found.
func (a *App) Shipment(ctx context.Context, orderID string) (domain.Shipment, error) {
	return a.store.Shipment(ctx, orderID, auth.OnlyOf(auth.Of(ctx).Reads()))
}

// failed answers every message of a batch with the same error.
func failed(n int, err error) []bus.Result {
	results := make([]bus.Result, n)
	for i := range results {
		results[i].Err = err
	}
	return results
}
