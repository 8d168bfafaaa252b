package audit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

// aside knows the records that are dead letters. A record is known by topic, time, key and value, so it is known in a copy
// of its topic too, where it has another place. Records without a time, or with a key that is not kept whole, and batches
// that could not be read are known by their place.
type aside struct {
	records map[moment]map[content]bool
	places  map[position]bool
}

// moment is a topic's millisecond.
type moment struct {
	topic string
	at    int64 // milliseconds since 1970
}

// content is the digest of a record's key and value.
type content [sha256.Size]byte

// A letter may stand for a whole batch.
const asideSQL = `SELECT topic, partition, record_offset, last_offset, record_time, content FROM audit_dead_letters`

// putAside returns the records of all dead letters of the book, also of those that were replayed or discarded.
func putAside(ctx context.Context, b *book) (*aside, error) {
	rows, err := b.tx.Query(ctx, asideSQL)
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	all := &aside{records: map[moment]map[content]bool{}, places: map[position]bool{}}
	var p position
	var last int64
	var at time.Time
	var digest []byte
	_, err = pgx.ForEachRow(rows, []any{&p.topic, &p.partition, &p.offset, &last, &at, &digest}, func() error {
		byPosition := digest == nil
		for ; byPosition && p.offset <= last; p.offset++ {
			all.places[p] = true
		}
		if !byPosition {
			m := moment{p.topic, at.UnixMilli()}
			if all.records[m] == nil {
				all.records[m] = map[content]bool{}
			}
			all.records[m][content(digest)] = true
		}
		return nil
	})
	return all, err
}

// has reports whether the record is a dead letter. Hardly any record shares its millisecond with one, so hardly any is
// hashed.
func (a *aside) has(r *kgo.Record) bool {
	if a.places[position{r.Topic, r.Partition, r.Offset}] {
		return true
	}
	of := a.records[moment{r.Topic, r.Timestamp.UnixMilli()}]
	return of != nil && of[contentOf(r)]
}

// contentOf computes what asideSQL does: NULL stands for a key or value that is not there.
func contentOf(r *kgo.Record) content {
	both := make([]byte, 0, 2*sha256.Size)
	for _, part := range [][]byte{r.Key, r.Value} {
		if part == nil {
			both = append(both, 0)
			continue
		}
		sum := sha256.Sum256(part)
		both = append(both, sum[:]...)
	}
	return sha256.Sum256(both)
}
