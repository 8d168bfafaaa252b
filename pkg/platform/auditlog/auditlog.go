// Package auditlog keeps who changed what: one entry for each change that a person asked for.
//
// An entry is a row of the service's own table audit_log. It is written in the transaction of the change, so that neither exists
// without the other. A change that has no transaction, such as a pause of the consumers, is made only after its entry is
// committed. Work that a record or a timer causes has no entry: the topics and the timelines tell of it.
//
// The service's own role may add entries and read them. It may neither change nor delete any: see migration 00153. So whoever
// takes over a service cannot remove what was written before.
//
// An entry holds ids and amounts. It never holds an email address or a text that a customer wrote.
package auditlog

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/pgdb"
)

// Entry is one change. Its actor and its time are not part of it: the context has the actor, and the database sets the time.
type Entry struct {
	Operation string         // such as order.cancel: what was changed, and how
	Subject   string         // id of the thing that was changed
	Details   map[string]any // small; nil = none
}

const addSQL = `INSERT INTO audit_log (actor, operation, subject, details, address) VALUES ($1, $2, $3, $4, $5)`

// Add writes entries, each by one statement. q is the transaction of the change, or the pool for a change without one.
func Add(ctx context.Context, q pgdb.Querier, entries ...Entry) error {
	for _, e := range entries {
		args, err := values(ctx, e)
		if err == nil {
			_, err = pgdb.Exec(ctx, q, addSQL, args...)
		}
		if err != nil {
			return fmt.Errorf("write the audit log: %w", err)
		}
	}
	return nil
}

// Queue adds the statements of Add to a batch, which travels in one round trip.
func Queue(ctx context.Context, batch *pgx.Batch, entries ...Entry) error {
	for _, e := range entries {
		args, err := values(ctx, e)
		if err != nil {
			return fmt.Errorf("write the audit log: %w", err)
		}
		batch.Queue(addSQL, args...)
	}
	return nil
}

func values(ctx context.Context, e Entry) ([]any, error) {
	details := []byte("{}")
	if len(e.Details) > 0 {
		var err error
		if details, err = json.Marshal(e.Details); err != nil {
			return nil, err
		}
	}
	by := Of(ctx)
	return []any{by.Name, e.Operation, e.Subject, string(details), by.Address}, nil
}

// Log is the audit log of one service. Safe for concurrent use.
type Log struct{ pool *pgxpool.Pool }

// New returns the log of the pool's schema.
func New(pool *pgxpool.Pool) *Log { return &Log{pool} }

// Add commits entries at once. Call it before a change that has no transaction, and make the change only when Add returns nil.
func (l *Log) Add(ctx context.Context, entries ...Entry) error { return Add(ctx, l.pool, entries...) }
