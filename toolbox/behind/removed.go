package behind

import (
	"context"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/retention"
)

// removed returns those of the ids whose row retention has removed. sql reads the tombstones of the service. Such a row had come as
// far as every decision about it.
func removed(ctx context.Context, conn *pgx.Conn, sql string, ids []string) (map[string]bool, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := conn.Query(ctx, sql, retention.IDs(ids))
	if err != nil {
		return nil, err
	}
	tombstones := map[[16]byte]bool{}
	var id [16]byte
	if _, err := pgx.ForEachRow(found, []any{&id}, func() error {
		tombstones[id] = true
		return nil
	}); err != nil {
		return nil, err
	}
	gone := make(map[string]bool, len(tombstones))
	for _, id := range ids {
		gone[id] = tombstones[retention.ID(id)]
	}
	return gone, nil
}

// without returns the ids of the claims that have no row.
func without[T any](claims []claim, rows map[string]T) (ids []string) {
	for _, c := range claims {
		if _, known := rows[c.about]; !known {
			ids = append(ids, c.about)
		}
	}
	return ids
}
