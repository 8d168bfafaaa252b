package windows

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/hint"
)

//go:embed schema.sql
var schema string

const (
	// lockTime is how long a job's lock may still be held by a process that has just died.
	lockTime = 5 * time.Second
	// rollBackTime bounds giving a transaction up.
	rollBackTime = 2 * time.Second
)

// Job is what is counted under one name. All its fields are fixed at its first start.
type Job struct {
	Name   string
	Topics []string // with their prefix
	Size   time.Duration
	Grace  time.Duration
}

// BusyError says that another process counts for the job. The job's lock is free when that process ends.
type BusyError struct{ Job string }

func (e *BusyError) Error() string { return fmt.Sprintf("another process counts for job %q", e.Job) }

// Hint says how to count beside it.
func (e *BusyError) Hint() string { return "end that one, or name another job with --job" }

// DifferentJobError says that a job of this name counts something else.
type DifferentJobError struct{ Stored Job }

func (e *DifferentJobError) Error() string {
	return fmt.Sprintf("job %q counts %s in windows of %s with a grace of %s", e.Stored.Name, strings.Join(e.Stored.Topics, ", "),
		e.Stored.Size, e.Stored.Grace)
}

// Hint says how to count.
func (e *DifferentJobError) Hint() string {
	return "give the same topics, --size and --grace, or name another job with --job"
}

// Usage marks a mistake in the arguments.
func (e *DifferentJobError) Usage() {}

// hinted adds a hint to an error of the database that keeps windows.
func hinted(err error) error {
	var answer *pgconn.PgError
	if errors.As(err, &answer) && answer.Code == "42501" { // insufficient privilege
		return hint.Add(errors.New(answer.Message), "DATABASE_URL must name a role that may create a schema, or may use the schema windows")
	}
	return hint.Server(err)
}

// Store keeps a job's windows in Postgres, in the schema windows. One goroutine uses it.
//
// It holds one connection, and the job's lock lasts as long as that connection. After an error it closes the connection
// and opens another one in the next call, with the lock taken anew.
type Store struct {
	// Keep is how long windows are kept after they closed, by the time of the events; 0 = for ever.
	Keep    time.Duration
	job     Job
	prefix  string // of topics; partition.topic has none
	connect func(context.Context) (*pgx.Conn, error)
	conn    *pgx.Conn
	stored  map[partition]position // as the table has it
	shown   int64                  // as the table has it: see windows.jobs
	ids     map[string]string      // of topics without prefix: as the table has them, and then as Kafka says
}

// OpenStore connects, makes the tables when they are missing, takes the job's lock and reads the job's offsets; a new
// job has none. Its errors are Postgres's, *BusyError or *DifferentJobError.
func OpenStore(ctx context.Context, connect func(context.Context) (*pgx.Conn, error), job Job, prefix string) (*Store, error) {
	job.Topics = slices.Sorted(slices.Values(job.Topics))
	s := &Store{job: job, prefix: prefix, connect: connect}
	err := s.open(ctx)
	if err == nil {
		err = s.begin(ctx)
	}
	if err == nil {
		s.stored, err = positions(ctx, s.conn, job.Name, prefix)
	}
	if err == nil {
		s.shown, err = shownTo(ctx, s.conn, job.Name)
	}
	if err == nil {
		s.ids, err = topicIDs(ctx, s.conn, job.Name, prefix)
	}
	if err != nil {
		s.Close()
		return nil, hinted(err)
	}
	return s, nil
}

// open connects and takes the lock. It tries for lockTime, because Postgres may notice the death of the former holder
// late.
func (s *Store) open(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	s.conn = conn
	const lock = `SELECT pg_try_advisory_lock(hashtextextended('pas windows ' || $1, 0))`
	for deadline := time.Now().Add(lockTime); ; {
		var taken bool
		if err := conn.QueryRow(ctx, lock, s.job.Name).Scan(&taken); err != nil {
			return fmt.Errorf("lock job %s: %w", s.job.Name, err)
		}
		if taken {
			return nil
		}
		if time.Now().After(deadline) {
			return &BusyError{s.job.Name}
		}
		if !wait.Sleep(ctx, lockTime/20) {
			return ctx.Err()
		}
	}
}

// begin makes the tables and the job's row if they are missing. A job that exists with other topics, another size or
// another grace is a *DifferentJobError: its stored numbers would be wrong for this one.
func (s *Store) begin(ctx context.Context) error {
	const (
		present = `SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('windows.offsets') AND attname = 'topic_id')`
		create  = `INSERT INTO windows.jobs (job, topics, size_ms, grace_ms) VALUES ($1, $2, $3, $4) ON CONFLICT (job) DO NOTHING`
	)
	var have bool
	if err := s.conn.QueryRow(ctx, present).Scan(&have); err != nil {
		return fmt.Errorf("look for the tables: %w", err)
	}
	if !have {
		// Two processes that make the same schema at once would disturb each other.
		_, err := s.conn.Exec(ctx, "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('pas windows schema', 0));\n"+schema+"\nCOMMIT")
		if err != nil {
			return fmt.Errorf("make the schema windows: %w", err)
		}
	}
	if _, err := s.conn.Exec(ctx, create, s.job.Name, s.job.Topics, s.job.Size.Milliseconds(), s.job.Grace.Milliseconds()); err != nil {
		return fmt.Errorf("make job %s: %w", s.job.Name, err)
	}
	stored, err := readJob(ctx, s.conn, s.job.Name)
	if err != nil {
		return err
	}
	if !slices.Equal(stored.Topics, s.job.Topics) || stored.Size != s.job.Size || stored.Grace != s.job.Grace {
		return &DifferentJobError{stored}
	}
	return nil
}

// Close closes the connection, which frees the job's lock.
func (s *Store) Close() {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), rollBackTime)
	defer cancel()
	_ = s.conn.Close(ctx)
	s.conn = nil
}

// errMoved says that the table has other offsets than this process left there.
var errMoved = errors.New("the stored offsets are not those that this process stored: another process counts for the same job")

// apply writes a batch and its offsets in one transaction. After an error, the commit may have succeeded or not. The
// caller calls apply again with the same batch, and the stored offsets then decide whether it must be written.
func (s *Store) apply(ctx context.Context, b *batch) error {
	if s.conn == nil || s.conn.IsClosed() {
		if err := s.open(ctx); err != nil {
			s.Close()
			return err
		}
	}
	err := s.transact(ctx, b)
	if err != nil {
		s.Close() // its state is unknown
		return fmt.Errorf("store windows: %w", err)
	}
	for p, at := range b.positions {
		s.stored[p] = at
	}
	s.shown = min(s.shown, s.untouched(b))
	return nil
}

// untouched returns the time up to which windows stay as they were shown, although the batch is added: just before the
// end and grace of the oldest window with a new event.
func (s *Store) untouched(b *batch) int64 {
	untouched := int64(math.MaxInt64)
	for k, c := range b.cells {
		if c.events > 0 {
			untouched = min(untouched, k.start+s.job.Size.Milliseconds()+s.job.Grace.Milliseconds()-1)
		}
	}
	return untouched
}

// markShown stores the time up to which windows were shown, and deletes those that are older than Keep. After a failure these windows are shown once more by the
// next process, unless a later call succeeds.
func (s *Store) markShown(ctx context.Context, upTo int64) error {
	const (
		mark = `UPDATE windows.jobs SET shown_ms = $2 WHERE job = $1`
		drop = `DELETE FROM windows.counts WHERE job = $1 AND window_start < 'epoch'::timestamptz + $2 * interval '1 ms'`
	)
	if s.conn == nil || s.conn.IsClosed() {
		if err := s.open(ctx); err != nil {
			s.Close()
			return err
		}
	}
	if _, err := s.conn.Exec(ctx, mark, s.job.Name, upTo); err != nil {
		return fmt.Errorf("note what was shown: %w", err)
	}
	s.shown = upTo
	if s.Keep == 0 {
		return nil
	}
	if _, err := s.conn.Exec(ctx, drop, s.job.Name, upTo-s.Keep.Milliseconds()); err != nil {
		return fmt.Errorf("delete old windows: %w", err)
	}
	return nil
}

// transact writes the batch if the stored offsets are those before it, and returns nil if they are those after it. Any
// other offsets mean that two processes count: errMoved. The row lock makes this comparison safe even without the job's
// lock.
func (s *Store) transact(ctx context.Context, b *batch) error {
	const lock = `SELECT FROM windows.jobs WHERE job = $1 FOR UPDATE`
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollBackTime)
		defer cancel()
		_ = tx.Rollback(ctx)
	}()
	if _, err := tx.Exec(ctx, lock, s.job.Name); err != nil {
		return err
	}
	have, err := positions(ctx, tx, s.job.Name, s.prefix)
	if err != nil {
		return err
	}
	switch {
	case same(have, s.stored):
	case same(have, s.after(b)):
		return nil // an earlier call committed it, but the answer was lost
	default:
		return errMoved
	}
	if err := s.write(ctx, tx, b); err != nil {
		return err
	}
	if upTo := s.untouched(b); upTo < s.shown {
		// If this process dies before it shows these windows again, the next one does.
		const back = `UPDATE windows.jobs SET shown_ms = $2 WHERE job = $1`
		if _, err := tx.Exec(ctx, back, s.job.Name, upTo); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

// after returns the positions once b is written.
func (s *Store) after(b *batch) map[partition]position {
	after := map[partition]position{}
	for p, at := range s.stored {
		after[p] = at
	}
	for p, at := range b.positions {
		after[p] = at
	}
	return after
}

// same reports whether two maps have the same partitions at the same positions, watermarks included.
func same(a, b map[partition]position) bool {
	if len(a) != len(b) {
		return false
	}
	for p, at := range a {
		if other, ok := b[p]; !ok || other != at {
			return false
		}
	}
	return true
}

// write adds the batch's counts to the stored ones, and replaces offsets and watermarks. Sums go as text to numeric,
// since a float is not exact. A topic's id that is not known leaves the stored one.
func (s *Store) write(ctx context.Context, tx pgx.Tx, b *batch) error {
	const count = `
		INSERT INTO windows.counts AS c (job, window_start, event, currency, count, sum, late)
		SELECT $1, 'epoch'::timestamptz + start * interval '1 ms', event, currency, count, sum::numeric, late
		FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[])
			AS added (start, event, currency, count, sum, late)
		ON CONFLICT (job, window_start, event, currency) DO UPDATE
		SET count = c.count + excluded.count, sum = c.sum + excluded.sum, late = c.late + excluded.late`
	const advance = `
		INSERT INTO windows.offsets AS o (job, topic, partition, next_offset, watermark_ms, topic_id)
		SELECT $1, topic, partition, next, nullif(watermark, $6), nullif(id, '')
		FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[], $7::text[]) AS read (topic, partition, next, watermark, id)
		ON CONFLICT (job, topic, partition) DO UPDATE
		SET next_offset = excluded.next_offset, watermark_ms = excluded.watermark_ms, topic_id = coalesce(excluded.topic_id, o.topic_id)`
	var starts, events, lates []int64
	var names, currencies, sums []string
	for k, c := range b.cells {
		starts, names, currencies = append(starts, k.start), append(names, k.event), append(currencies, k.currency)
		events, lates, sums = append(events, c.events), append(lates, c.late), append(sums, decimal(big.NewInt(c.minor), k.currency))
	}
	if len(starts) > 0 {
		if _, err := tx.Exec(ctx, count, s.job.Name, starts, names, currencies, events, sums, lates); err != nil {
			return err
		}
	}
	var topics, ids []string
	var partitions []int32
	var next, watermarks []int64
	for p, at := range b.positions {
		topics, partitions = append(topics, s.prefix+p.topic), append(partitions, p.partition)
		next, watermarks, ids = append(next, at.next), append(watermarks, at.watermark), append(ids, s.ids[p.topic])
	}
	_, err := tx.Exec(ctx, advance, s.job.Name, topics, partitions, next, watermarks, int64(noEvent), ids)
	return err
}
