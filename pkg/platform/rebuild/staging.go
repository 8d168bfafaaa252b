package rebuild

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/cores"
	"pasdetrois/pkg/platform/signing"
)

// Staging keeps records in the service's schema, by bucket of their key:
//
//	Add ─── in memory ── Save, in one transaction with the progress of the partitions ── rebuild_records
//	Range ─ sizes of the buckets ── Stories, one range of buckets after the other
//
// A process that is killed loses what it added since the last Save, and its progress says so. Only the holder of the lease
// writes. One goroutine uses a Staging.
type Staging struct {
	pool   *pgxpool.Pool
	lease  *Lease
	packer *packer
	keys   *signing.Keys
	added  [Buckets][]byte
	size   int
}

// Progress is how far a partition was read.
type Progress struct {
	TopicID    string // "" = Kafka has none
	Next       int64
	Unreadable *int64           // the first record that no service can read, and that no dead letter explains
	Committed  *int64           // by the service's group before the rebuild; nil = nothing
	First      map[string]int64 // the offset of the first staged record of each event
}

// NewStaging returns a staging over the schema of the lease. Records that the keys refuse are in none of its stories, also when an
// earlier run without keys has staged them. Close ends it.
func NewStaging(lease *Lease, keys *signing.Keys) (*Staging, error) {
	packer, err := newPacker()
	if err != nil {
		return nil, err
	}
	return &Staging{pool: lease.pool, lease: lease, keys: keys, packer: packer}, nil
}

// Close frees the memory. It leaves the stored records.
func (s *Staging) Close() { s.packer.close() }

// Add keeps a record for the story of the key. It copies the record.
func (s *Staging) Add(key string, r messages.Record) {
	b := &s.added[BucketOf(key)]
	before := len(*b)
	*b = appendEntry(*b, key, r)
	s.size += len(*b) - before
}

// Size returns the bytes that were added since the last Save.
func (s *Staging) Size() int { return s.size }

const progressSQL = `SELECT topic, partition, topic_id, next_offset, unreadable, committed, firsts FROM rebuild_progress`

// Progress returns how far the partitions were read by the last Save, also by another process.
func (s *Staging) Progress(ctx context.Context) (map[Place]Progress, error) {
	rows, err := s.pool.Query(ctx, progressSQL)
	if err != nil {
		return nil, fmt.Errorf("read the progress of the rebuild: %w", err)
	}
	all := map[Place]Progress{}
	var p Place
	var at Progress
	_, err = pgx.ForEachRow(rows, []any{&p.Topic, &p.Partition, &at.TopicID, &at.Next, &at.Unreadable, &at.Committed, &at.First}, func() error {
		all[p] = at
		at = Progress{}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the progress of the rebuild: %w", err)
	}
	return all, nil
}

const begunSQL = `SELECT EXISTS (SELECT FROM rebuild_progress)`

// Begun reports whether a rebuild was begun and has not ended well.
func Begun(ctx context.Context, pool *pgxpool.Pool) (begun bool, err error) {
	if err := pool.QueryRow(ctx, begunSQL).Scan(&begun); err != nil {
		return false, fmt.Errorf("look for a rebuild that is not complete: %w", err)
	}
	return begun, nil
}

const saveProgressSQL = `INSERT INTO rebuild_progress (topic, partition, topic_id, next_offset, unreadable, committed, firsts)
VALUES ($1, $2, $3, $4, $5, $6, coalesce($7::jsonb, '{}'))
ON CONFLICT (topic, partition) DO UPDATE SET topic_id = EXCLUDED.topic_id, next_offset = EXCLUDED.next_offset,
  unreadable = EXCLUDED.unreadable, committed = EXCLUDED.committed, firsts = EXCLUDED.firsts`

// Save stores the added records and the progress, in one transaction. It stores nothing when the lease is lost. It
// checks the lease last. A crash that emptied the tables is then noticed, and renewals wait only for the commit.
func (s *Staging) Save(ctx context.Context, progress map[Place]Progress) error {
	rows := s.pack()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"rebuild_records"}, []string{"bucket", "bytes", "records"}, pgx.CopyFromRows(rows)); err != nil {
			return err
		}
		var batch pgx.Batch
		for p, at := range progress {
			batch.Queue(saveProgressSQL, p.Topic, p.Partition, at.TopicID, at.Next, at.Unreadable, at.Committed, at.First)
		}
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
		return s.lease.lock(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("stage records: %w", err)
	}
	for i := range s.added {
		s.added[i] = s.added[i][:0]
	}
	s.size = 0
	return nil
}

// pack compresses the added records on all cores.
func (s *Staging) pack() (rows [][]any) {
	packed := make([][]byte, Buckets)
	cores.Each(Buckets, func(bucket int) {
		if len(s.added[bucket]) > 0 {
			packed[bucket] = s.packer.in.EncodeAll(s.added[bucket], nil)
		}
	})
	for bucket, records := range packed {
		if records != nil {
			rows = append(rows, []any{int32(bucket), int64(len(s.added[bucket])), records})
		}
	}
	return rows
}

const clearSQL = `TRUNCATE rebuild_records, rebuild_progress`

// Clear removes all stored records. When the lease is lost they are another rebuild's, and stay.
func (s *Staging) Clear(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := s.lease.lock(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, clearSQL)
		return err
	})
	if err != nil {
		return fmt.Errorf("clear the staged records: %w", err)
	}
	return nil
}
