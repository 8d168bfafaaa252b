package presence

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
)

// table is where the replicas of a service keep their leases.
type table interface {
	// renew writes the row of a replica and returns those of all others.
	renew(ctx context.Context, name string) ([]row, error)
	// forget deletes a row, unless it was renewed since it was read.
	forget(ctx context.Context, r row) error
	leave(ctx context.Context, name string) error
}

// stored is the table replicas of the service's schema.
type stored struct{ db pgdb.Querier }

// Reading and renewing are one round trip. The clock's value only has to differ from the one before.
const renewSQL = `
WITH mine AS (
  INSERT INTO replicas (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET renewed_at = clock_timestamp()
)
SELECT name, renewed_at FROM replicas WHERE name <> $1`

func (s stored) renew(ctx context.Context, name string) ([]row, error) {
	found, err := s.db.Query(ctx, renewSQL, name)
	if err != nil {
		return nil, fmt.Errorf("renew the lease: %w", err)
	}
	rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, fmt.Errorf("renew the lease: %w", err)
	}
	return rows, nil
}

const forgetSQL = `DELETE FROM replicas WHERE name = $1 AND renewed_at = $2`

func (s stored) forget(ctx context.Context, r row) error {
	if _, err := s.db.Exec(ctx, forgetSQL, r.Name, r.RenewedAt); err != nil {
		return fmt.Errorf("delete the lease of %s: %w", r.Name, err)
	}
	return nil
}

const leaveSQL = `DELETE FROM replicas WHERE name = $1`

func (s stored) leave(ctx context.Context, name string) error {
	if _, err := s.db.Exec(ctx, leaveSQL, name); err != nil {
		return fmt.Errorf("give the lease up: %w", err)
	}
	return nil
}
