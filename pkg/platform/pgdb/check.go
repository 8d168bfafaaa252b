package pgdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

const readOnlySQL = `SHOW transaction_read_only`

// Check returns a readiness check: a connection is there, and its server takes writes. Connections to a server that takes
// none are closed, so that the next statement connects anew.
func Check(pool *pgxpool.Pool) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		var readOnly string
		if err := pool.QueryRow(ctx, readOnlySQL).Scan(&readOnly); err != nil {
			return fmt.Errorf("ask whether the server takes writes: %w", err)
		}
		if readOnly == "on" {
			pool.Reset()
			return ErrReadOnly
		}
		return nil
	}
}
