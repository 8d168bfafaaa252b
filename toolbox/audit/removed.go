package audit

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/retention"
)

// removed is the set of orders of which retention has removed the row or the payment. It keeps the first 8 bytes of each
// tombstone, sorted by has: an order that is there counts as removed once in 2^64 for each of them.
type removed struct {
	ids    []uint64
	sorted bool
}

const removedSQL = `SELECT id FROM audit_removed`

// read adds the tombstones of a database.
func (r *removed) read(ctx context.Context, b *book) error {
	rows, err := b.tx.Query(ctx, removedSQL)
	if err == nil {
		var id [16]byte
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
			r.ids = append(r.ids, binary.BigEndian.Uint64(id[:]))
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("read what retention removed of %s: %w", b.name, err)
	}
	return nil
}

// has reports whether a part of the order is removed. Call it when all is read.
func (r *removed) has(order string) bool {
	if len(r.ids) == 0 {
		return false
	}
	if !r.sorted {
		slices.Sort(r.ids)
		r.sorted = true
	}
	id := retention.ID(order)
	_, found := slices.BinarySearch(r.ids, binary.BigEndian.Uint64(id[:]))
	return found
}
