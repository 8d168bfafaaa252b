package parts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// order is the body of POST /orders.
type order struct {
	UserID string `json:"user_id"`
	Items  []struct {
		SKU      string `json:"sku"`
		Quantity int    `json:"quantity"`
	} `json:"items"`
}

// keep stores an order and returns its id. As a handler it does the same for HTTP in every variant, so that
// only the storage differs between figures.
type keep func(context.Context, order) (string, error)

// nothing stores nothing and returns a constant id.
func nothing(context.Context, order) (string, error) {
	return "0194e2a0-0000-7000-8000-000000000000", nil
}

// ServeHTTP answers 202 after k has stored the order. It answers 400 for a body that is no order, and 503 for a
// failure of the database. It checks no more than that, so that it remains a limit.
func (k keep) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&o); err != nil || o.UserID == "" || len(o.Items) == 0 {
		http.Error(w, "not an order", http.StatusBadRequest)
		return
	}
	id, err := k(r.Context(), o)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]string{"order_id": id, "status": "pending"})
}

// poolSize is that of the product's own pool, for a fair comparison.
const poolSize = 16

const (
	// The statements write the same rows as the product does for an order: order, lines, event, outbox message.
	priceSQL      = `SELECT price_minor, currency FROM orders.inventory WHERE sku = $1`
	insertOrder   = `INSERT INTO orders.orders (order_id, user_id, total_minor, currency, status, decided_by, version, created_at, updated_at, status_at, due_at) VALUES (gen_random_uuid()::text, $1, $2, $3, 'pending', 'http', 1, now(), now(), now(), now() + interval '1 minute') RETURNING order_id`
	insertLine    = `INSERT INTO orders.order_lines (order_id, line, sku, quantity, unit_price_minor) VALUES ($1, $2, $3, $4, $5)`
	insertEvent   = `INSERT INTO orders.order_events (order_id, number, event, status_from, status_to, at) VALUES ($1, 1, 'http', '', 'pending', now())`
	insertMessage = `INSERT INTO orders.outbox (topic, key, value, headers) VALUES ('orders', $1, $2, '[]')`
)

// inTransaction stores each order in a transaction of its own, in the product's tables: one commit per request.
func inTransaction(pool *pgxpool.Pool) keep {
	return func(ctx context.Context, o order) (id string, err error) {
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			prices := make([]int64, len(o.Items))
			var total int64
			var currency string
			for i, item := range o.Items {
				if err := tx.QueryRow(ctx, priceSQL, item.SKU).Scan(&prices[i], &currency); err != nil {
					return err
				}
				total += prices[i] * int64(item.Quantity)
			}
			if err := tx.QueryRow(ctx, insertOrder, o.UserID, total, currency).Scan(&id); err != nil {
				return err
			}
			for i, item := range o.Items {
				if _, err := tx.Exec(ctx, insertLine, id, i+1, item.SKU, item.Quantity, prices[i]); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, insertEvent, id); err != nil {
				return err
			}
			message, err := json.Marshal(o)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, insertMessage, []byte(id), message)
			return err
		})
		return id, err
	}
}

// Serve serves POST /orders and GET /healthz until ctx ends, which is no error. Without a database it stores
// nothing; with one it stores each order in a transaction of its own.
func Serve(ctx context.Context, address, databaseURL string) error {
	handle := keep(nothing)
	if databaseURL != "" {
		cfg, err := pgxpool.ParseConfig(databaseURL)
		if err != nil {
			return fmt.Errorf("database: %w", err)
		}
		cfg.MaxConns = poolSize
		pool, err := pgxpool.NewWithConfig(ctx, cfg)
		if err != nil {
			return fmt.Errorf("database: %w", err)
		}
		defer pool.Close()
		handle = inTransaction(pool)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /orders", handle)
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	// Close and not Shutdown: when ctx ends, the measurement is over and no answer counts.
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
