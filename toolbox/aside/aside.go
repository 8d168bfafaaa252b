// Package aside knows the records of a service's dead letters. A reader of the topics needs them: a service may never have
// handled such a record.
package aside

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/pgdb"
)

// Records is the set of records that are dead letters. A record counts as a dead letter by topic, time, key and value. These
// are the same in a copy of the topic (a mirror), where the record has another position. Three kinds of dead letter are
// found by position alone: records without a time, records whose key is not kept whole, and batches that could not be read.
//
// Read fills it and nothing changes it afterwards, so several goroutines may use it.
type Records struct {
	records map[moment]map[content]bool
	places  map[place]bool
}

// place is the position of a record.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// moment is one millisecond of one topic. It is the first key of the set, so that most records need no hash.
type moment struct {
	topic string
	at    int64 // milliseconds since 1970
}

// content is the digest of a record's key and value, as the view audit_dead_letters computes it.
type content [sha256.Size]byte

// A dead letter may stand for a whole batch: its offsets are record_offset up to last_offset, both included. content is
// NULL when only the position identifies the record.
const lettersSQL = `SELECT topic, partition, record_offset, last_offset, record_time, content FROM %s.audit_dead_letters`

// Read returns the records of all dead letters of a service, including replayed and discarded ones: the topics have these
// records still. All of them are in memory.
func Read(ctx context.Context, db pgdb.Querier, service string) (*Records, error) {
	rows, err := db.Query(ctx, fmt.Sprintf(lettersSQL, pgx.Identifier{service}.Sanitize()))
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	all := &Records{records: map[moment]map[content]bool{}, places: map[place]bool{}}
	var p place
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

// Has reports whether the record is a dead letter. Its topic must have no prefix. Hashing is rare: hardly any record shares
// its millisecond with a dead letter.
func (a *Records) Has(r *kgo.Record) bool {
	if a.places[place{r.Topic, r.Partition, r.Offset}] {
		return true
	}
	of := a.records[moment{r.Topic, r.Timestamp.UnixMilli()}]
	return of != nil && of[contentOf(r)]
}

// contentOf computes the same digest as the view audit_dead_letters: sha256 over the digests of key and value. A
// missing key or value counts as one zero byte, so it differs from an empty one. A change on one side needs the same
// change on the other.
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
