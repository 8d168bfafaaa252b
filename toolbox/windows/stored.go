package windows

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pasdetrois/pkg/messages"
)

// database is a connection or a transaction: History reads without a Store.
type database interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func readJob(ctx context.Context, db database, name string) (Job, error) {
	const query = `SELECT topics, size_ms, grace_ms FROM windows.jobs WHERE job = $1`
	job := Job{Name: name}
	var size, grace int64
	err := db.QueryRow(ctx, query, name).Scan(&job.Topics, &size, &grace)
	if err != nil {
		return job, fmt.Errorf("read job %s: %w", name, err)
	}
	job.Size, job.Grace = time.Duration(size)*time.Millisecond, time.Duration(grace)*time.Millisecond
	return job, nil
}

// positions returns the stored position of each of the job's partitions. prefix is taken off the topics' names.
func positions(ctx context.Context, db database, job, prefix string) (map[partition]position, error) {
	const query = `SELECT topic, partition, next_offset, coalesce(watermark_ms, $2) FROM windows.offsets WHERE job = $1`
	rows, err := db.Query(ctx, query, job, int64(noEvent))
	if err != nil {
		return nil, fmt.Errorf("read the stored offsets: %w", err)
	}
	at := map[partition]position{}
	var p partition
	var here position
	_, err = pgx.ForEachRow(rows, []any{&p.topic, &p.partition, &here.next, &here.watermark}, func() error {
		at[partition{strings.TrimPrefix(p.topic, prefix), p.partition}] = here
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the stored offsets: %w", err)
	}
	return at, nil
}

// topicIDs returns the ids of the topics to which the job's offsets belong. A topic whose id was not kept is missing.
func topicIDs(ctx context.Context, db database, job, prefix string) (map[string]string, error) {
	const query = `SELECT DISTINCT topic, topic_id FROM windows.offsets WHERE job = $1 AND topic_id IS NOT NULL`
	rows, err := db.Query(ctx, query, job)
	if err != nil {
		return nil, fmt.Errorf("read the stored topics: %w", err)
	}
	ids := map[string]string{}
	var topic, id string
	_, err = pgx.ForEachRow(rows, []any{&topic, &id}, func() error {
		ids[strings.TrimPrefix(topic, prefix)] = id
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the stored topics: %w", err)
	}
	return ids, nil
}

// shownTo returns the time up to which the job's windows were shown, or noEvent.
func shownTo(ctx context.Context, db database, job string) (int64, error) {
	const query = `SELECT coalesce(shown_ms, $2) FROM windows.jobs WHERE job = $1`
	var upTo int64
	if err := db.QueryRow(ctx, query, job, int64(noEvent)).Scan(&upTo); err != nil {
		return 0, fmt.Errorf("read what was shown: %w", err)
	}
	return upTo, nil
}

// storedRows calls each for every stored row of the windows that start at from (milliseconds since 1970) or later. With
// only, a window must also start at one of these times. The oldest window comes first.
func storedRows(ctx context.Context, db database, job string, from int64, only []int64, each func(k key, events, late int64, sum *big.Int)) error {
	const query = `
		SELECT (extract(epoch FROM window_start) * 1000)::bigint, event, currency, count, late, sum::text
		FROM windows.counts
		WHERE job = $1 AND window_start >= 'epoch'::timestamptz + $2 * interval '1 ms'
			AND ($3::bigint[] IS NULL OR (extract(epoch FROM window_start) * 1000)::bigint = ANY ($3))
		ORDER BY window_start`
	rows, err := db.Query(ctx, query, job, from, only)
	if err != nil {
		return fmt.Errorf("read windows: %w", err)
	}
	var k key
	var events, late int64
	var sum string
	_, err = pgx.ForEachRow(rows, []any{&k.start, &k.event, &k.currency, &events, &late, &sum}, func() error {
		minor, err := minorUnits(sum, k.currency)
		if err == nil {
			each(k, events, late, minor)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read windows: %w", err)
	}
	return nil
}

// load puts the newest windows on a board, and those that are still open. The windows before them count as forgotten. A
// window that was shown before the restart is closed and not shown again.
func (s *Store) load(ctx context.Context, b *board) error {
	from := int64(firstTime)
	if closed := lowest(s.stored); closed != noEvent {
		newest, err := newest(ctx, s.conn, s.job.Name, kept)
		if err != nil {
			return err
		}
		from = max(from, min(newest, closed-b.size-b.grace+1))
	}
	b.forgotten, b.shown = from-1, s.shown
	err := storedRows(ctx, s.conn, s.job.Name, from, nil, b.add)
	for start, w := range b.windows {
		if b.over(start) {
			w.closed, w.dirty = true, false // was shown
		}
	}
	return err
}

// recall puts forgotten windows back on a board, whole, closed and dirty, so that the next close shows them as
// corrected. It does not connect: an error here only costs the rest of the window.
func (s *Store) recall(ctx context.Context, b *board, starts []int64) error {
	if s.conn == nil {
		return errors.New("there is no connection")
	}
	whole := newBoard(s.job.Size, s.job.Grace)
	if err := storedRows(ctx, s.conn, s.job.Name, starts[0], starts, whole.add); err != nil {
		return err
	}
	for start, w := range whole.windows {
		w.closed = true
		b.windows[start] = w
	}
	return nil
}

// firstTime is the year 1, in milliseconds since 1970.
const firstTime = -62_135_596_800_000

// minorUnits reads a stored sum with any number of decimals. Decimals that the currency does not have must be zero.
func minorUnits(sum, currency string) (*big.Int, error) {
	exponent, _ := messages.Exponent(currency)
	whole, fraction, _ := strings.Cut(sum, ".")
	fraction += strings.Repeat("0", exponent)
	minor, ok := new(big.Int).SetString(whole+fraction[:exponent], 10)
	if !ok || strings.Trim(fraction[exponent:], "0") != "" {
		return nil, fmt.Errorf("the stored sum %s is no amount of %q", sum, currency)
	}
	return minor, nil
}

// NothingStoredError says that no window can be read back: there is no job, none of this name, or more than one.
type NothingStoredError struct {
	Job  string   // "" = none was named
	Jobs []string // there are
}

func (e *NothingStoredError) Error() string {
	switch {
	case len(e.Jobs) == 0:
		return "no windows are stored here"
	case e.Job == "":
		return "there is more than one job: " + strings.Join(e.Jobs, ", ")
	}
	return fmt.Sprintf("there is no job %q; there are %s", e.Job, strings.Join(e.Jobs, ", "))
}

// Hint says how to find windows.
func (e *NothingStoredError) Hint() string {
	if len(e.Jobs) == 0 {
		return "store some with `pas windows TOPIC… --store`"
	}
	return "name one with --job"
}

// History reads back the newest windows of a job, oldest first; of the only job when job is "". It takes no lock, so
// another process may count meanwhile. A window counts as closed when it was shown, or when all partitions are beyond
// it. Its errors are Postgres's or *NothingStoredError.
func History(ctx context.Context, conn *pgx.Conn, job string, since time.Time, last int) (Job, []Window, error) {
	stored, list, err := readBack(ctx, conn, job, since, last)
	return stored, list, hinted(err)
}

func readBack(ctx context.Context, conn *pgx.Conn, job string, since time.Time, last int) (Job, []Window, error) {
	jobs, err := jobNames(ctx, conn)
	if err != nil {
		return Job{}, nil, err
	}
	if job == "" && len(jobs) == 1 {
		job = jobs[0]
	}
	found := false
	for _, name := range jobs {
		found = found || name == job
	}
	if !found {
		return Job{}, nil, &NothingStoredError{job, jobs}
	}
	stored, err := readJob(ctx, conn, job)
	if err != nil {
		return stored, nil, err
	}
	at, err := positions(ctx, conn, job, "")
	if err != nil {
		return stored, nil, err
	}
	from, err := newest(ctx, conn, job, last)
	if err != nil {
		return stored, nil, err
	}
	if !since.IsZero() {
		from = max(from, since.UnixMilli())
	}
	shown, err := shownTo(ctx, conn, job)
	if err != nil {
		return stored, nil, err
	}
	closed := max(lowest(at), shown)
	var list []Window
	err = storedRows(ctx, conn, job, from, nil, func(k key, events, late int64, sum *big.Int) {
		start := time.UnixMilli(k.start).UTC()
		if len(list) == 0 || !list[len(list)-1].Start.Equal(start) {
			list = append(list, Window{Start: start, End: start.Add(stored.Size),
				Open: k.start+stored.Size.Milliseconds()+stored.Grace.Milliseconds() > closed})
		}
		list[len(list)-1].add(row{k.event, k.currency}, events, late, decimal(sum, k.currency))
	})
	for i := range list {
		list[i].sort()
	}
	return stored, list, err
}

// jobNames returns all jobs. A database without the tables has none, which is no error.
func jobNames(ctx context.Context, db database) ([]string, error) {
	const query = `SELECT job FROM windows.jobs ORDER BY job`
	var names []string
	rows, err := db.Query(ctx, query)
	if err == nil {
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	var answer *pgconn.PgError
	if errors.As(err, &answer) && answer.Code == "42P01" { // there is no such table
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	return names, nil
}

// newest returns the start of the oldest among the last windows that have counts; 0 when there are none.
func newest(ctx context.Context, db database, job string, last int) (int64, error) {
	const query = `
		SELECT coalesce(min((extract(epoch FROM start) * 1000)::bigint), 0) FROM (
			SELECT DISTINCT window_start AS start FROM windows.counts WHERE job = $1 ORDER BY 1 DESC LIMIT $2
		) AS newest`
	var from int64
	if err := db.QueryRow(ctx, query, job, last).Scan(&from); err != nil {
		return 0, fmt.Errorf("read windows: %w", err)
	}
	return from, nil
}

// lowest returns the lowest watermark of the partitions that have one, or noEvent.
func lowest(at map[partition]position) int64 {
	lowest := int64(noEvent)
	for _, p := range at {
		if p.watermark != noEvent && (lowest == noEvent || p.watermark < lowest) {
			lowest = p.watermark
		}
	}
	return lowest
}
