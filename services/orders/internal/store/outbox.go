package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const oldestUnpublishedSQL = `SELECT created_at FROM outbox ORDER BY id LIMIT 1`

// OldestUnpublished implements app.Store.
func (s *Store) OldestUnpublished(ctx context.Context) (time.Time, error) {
	var at time.Time
	err := s.pool.QueryRow(ctx, oldestUnpublishedSQL).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("look at the outbox: %w", err)
	}
	return at, nil
}
