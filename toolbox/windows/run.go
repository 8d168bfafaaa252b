package windows

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/feed"
)

const (
	// mostAtOnce is how many records are counted before they are stored and shown.
	mostAtOnce = 100_000
	// lastTime bounds the last flush of a run.
	lastTime = 5 * time.Second
	// retryEvery is the pause before Postgres is tried again.
	retryEvery = 200 * time.Millisecond
)

// Config names the records to count, the windows and the functions that receive results. Run calls these functions one
// at a time.
type Config struct {
	Feed        feed.Config
	Size, Grace time.Duration
	// Store keeps counts and offsets; nil keeps them in memory only. If the Store has offsets, counting resumes there
	// and Feed.Start is ignored.
	Store *Store
	// Every is how often counts are stored and shown. Idle is how long a partition may have nothing to read before its
	// watermark no longer holds windows back.
	Every, Idle time.Duration

	Ready func()         // everything written from now on will be counted; may be nil
	Show  func(Window)   // a window closed, or was corrected
	Live  func(Snapshot) // something changed; may be nil
	Note  func(string)   // a line for people, such as an outage of Postgres
}

// Snapshot is the board at a moment, oldest window first.
type Snapshot struct {
	Windows  []Window `json:"windows"`
	Counters Counters `json:"counters"`
}

// Summary is the result of a run. Shown counts windows that were shown as closed, a corrected one each time.
type Summary struct {
	Counters
	Shown int64
	Open  []Window // windows that are not closed at the end
	// Waiting names partitions whose last records could not be read yet. A run that follows leaves it empty.
	Waiting []feed.Waiting
}

// run is the state of one Run. One goroutine uses it.
type run struct {
	cfg      Config
	feed     *feed.Feed
	tally    *tally
	board    *board
	batch    *batch
	lastRead map[partition]time.Time // when something was read last
	next     time.Time               // when to store and show
	summary  Summary
	changed  bool
	// unmarked says that windows were shown and the store does not have that yet.
	unmarked bool
}

// OldTopicError says that a topic is not the one that the stored windows were counted in.
type OldTopicError struct{ Err *feed.RemadeError }

func (e *OldTopicError) Error() string { return e.Err.Error() }

// Unwrap returns the reader's error.
func (e *OldTopicError) Unwrap() error { return e.Err }

// Hint says how to count the new topic.
func (e *OldTopicError) Hint() string {
	return "what is stored was counted in the old topic: begin again with another --job"
}

// Run counts until ctx ends; without Feed.Follow, until the end that the topics had at the start. The end of ctx is no
// error: the records that were read are stored first, within lastTime. Its errors are those of package feed, those of
// Postgres that a retry does not heal, *BusyError and *OldTopicError. The Store stays open.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	summary, err := runAll(ctx, cfg)
	if remade := (*feed.RemadeError)(nil); cfg.Store != nil && errors.As(err, &remade) {
		err = &OldTopicError{remade}
	}
	return summary, hinted(err)
}

// runAll loads the board, opens the feed at the stored offsets and counts. A partition that the store does not have is
// new since then, so it is read from its beginning.
func runAll(ctx context.Context, cfg Config) (Summary, error) {
	at := map[partition]position{}
	r := &run{cfg: cfg, board: newBoard(cfg.Size, cfg.Grace), batch: newBatch(), lastRead: map[partition]time.Time{}}
	if cfg.Store != nil {
		maps.Copy(at, cfg.Store.stored)
		if err := cfg.Store.load(ctx, r.board); err != nil {
			return r.summary, err
		}
		if len(at) > 0 { // a partition without an offset is new since then
			r.cfg.Feed.Start = feed.Start{Beginning: true, At: offsets(at), IDs: cfg.Store.ids}
		}
	}
	r.tally = newTally(cfg.Size, cfg.Grace, at)
	r.cfg.Feed.PassOver = func(p feed.Passed) {
		r.tally.passOver(r.batch, p)
		cfg.Note(p.String() + ".")
	}
	f, err := feed.Open(ctx, r.cfg.Feed)
	if err != nil {
		return r.summary, err
	}
	defer f.Close()
	r.feed = f
	if !cfg.Feed.Follow {
		r.summary.Waiting = f.Waiting()
	}
	if cfg.Store != nil {
		maps.Copy(cfg.Store.ids, f.IDs())
	}
	if err := r.begin(ctx); err != nil {
		return r.summary, err
	}
	err = r.count(ctx)
	r.summary.Open = r.board.open()
	return r.summary, err
}

// offsets returns the next offset of each partition, in the form that feed.Start has.
func offsets(at map[partition]position) map[string]map[int32]int64 {
	offsets := map[string]map[int32]int64{}
	for p, here := range at {
		if offsets[p.topic] == nil {
			offsets[p.topic] = map[int32]int64{}
		}
		offsets[p.topic][p.partition] = here.next
	}
	return offsets
}

// begin stores the offsets at which a job begins, before it counts anything. Without that, a process that dies before
// its first flush would begin elsewhere the next time, because the topics' ends have moved.
func (r *run) begin(ctx context.Context) error {
	now := time.Now()
	for topic, partitions := range r.feed.Positions() {
		for number, next := range partitions {
			p := partition{topic, number}
			r.lastRead[p] = now
			if _, known := r.tally.at[p]; !known {
				r.tally.at[p] = position{next, noEvent}
				r.batch.positions[p] = r.tally.at[p]
			}
		}
	}
	if err := r.flush(ctx, now); err != nil {
		return err
	}
	if r.cfg.Ready != nil {
		r.cfg.Ready()
	}
	return nil
}

// count polls and flushes until ctx or the feed ends. A flush is due every Config.Every, or after mostAtOnce records,
// so that a batch stays small.
func (r *run) count(ctx context.Context) error {
	for {
		deadline, cancel := context.WithDeadline(ctx, r.next)
		records, err := r.feed.Poll(deadline)
		cancel()
		if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
			return err
		}
		now := time.Now()
		for _, record := range records {
			r.tally.add(r.batch, record)
			r.lastRead[partition{record.Topic, record.Partition}] = now
		}
		if ctx.Err() != nil || err != nil {
			return r.end(ctx, errors.Is(err, io.EOF))
		}
		if now.Before(r.next) && r.batch.counters.Read < mostAtOnce {
			continue
		}
		if err := r.flush(ctx, now); err != nil {
			if ctx.Err() != nil {
				return r.end(ctx, false)
			}
			return err
		}
	}
}

// end stores what is counted but not stored, within lastTime, also after ctx has ended. all says that the feed has
// ended: then no partition holds a window back. If Postgres does not answer, the last records are counted again by the
// next run.
func (r *run) end(ctx context.Context, all bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	if all {
		clear(r.lastRead)
	}
	err := r.flush(ctx, time.Now())
	if err != nil && ctx.Err() != nil {
		r.cfg.Note("Postgres does not answer: what was counted last is not stored, and is counted again the next time.")
		return nil
	}
	return err
}

// flush stores the batch, applies it to the board and shows the windows that are over. The store comes first: a window
// must not be shown with counts that a restart does not have. After an error the batch is kept and nothing is shown.
func (r *run) flush(ctx context.Context, now time.Time) error {
	if r.cfg.Store != nil && len(r.batch.positions) > 0 {
		if err := r.store(ctx); err != nil {
			return err
		}
	}
	read := r.batch.counters.Read
	r.recall(ctx)
	r.board.apply(r.batch)
	r.summary.add(r.batch.counters)
	r.batch = newBatch()
	closed := r.board.close(r.watermark(now))
	for _, w := range closed {
		r.summary.Shown++
		r.cfg.Show(w)
	}
	if r.unmarked = r.unmarked || len(closed) > 0; r.unmarked && r.cfg.Store != nil {
		r.unmarked = r.cfg.Store.markShown(ctx, r.board.shown) != nil // the next flush tries again
	}
	if r.cfg.Live != nil && (read > 0 || len(closed) > 0 || !r.changed) {
		r.changed = true
		r.cfg.Live(Snapshot{r.board.all(), r.summary.Counters})
	}
	r.next = time.Now().Add(r.cfg.Every)
	return nil
}

// recall puts forgotten windows of the stored batch back on the board, so that they are shown whole. The Store has the
// batch already, so the batch's rows of these windows are removed. If Postgres does not answer, the windows are shown
// as added.
func (r *run) recall(ctx context.Context) {
	if r.cfg.Store == nil {
		return
	}
	starts := r.board.missing(r.batch)
	if len(starts) == 0 || r.cfg.Store.recall(ctx, r.board, starts) != nil {
		return
	}
	for k := range r.batch.cells {
		if _, back := slices.BinarySearch(starts, k.start); back {
			delete(r.batch.cells, k)
		}
	}
}

// store writes the batch, and repeats that while Postgres is away. Nothing is read meanwhile, so memory does not grow.
// The user gets one note when the outage begins and one when it ends.
func (r *run) store(ctx context.Context) error {
	told := false
	for {
		err := r.cfg.Store.apply(ctx, r.batch)
		if err == nil {
			if told {
				r.cfg.Note("Postgres is back.")
			}
			return nil
		}
		if ctx.Err() != nil || !passes(err) {
			return err
		}
		if !told {
			told = true
			r.cfg.Note("Postgres does not answer; counting resumes when it does: " + strings.ReplaceAll(err.Error(), "\n", " "))
		}
		if !wait.Sleep(ctx, retryEvery) {
			return ctx.Err()
		}
	}
}

// passes reports whether an error of Postgres may be gone the next time. An error without an answer from Postgres, such
// as a broken connection, may. Another counter of the same job does not go away by waiting.
func passes(err error) bool {
	var busy *BusyError
	if errors.Is(err, errMoved) || errors.As(err, &busy) {
		return false
	}
	if answer := (*pgconn.PgError)(nil); !errors.As(err, &answer) {
		return true
	}
	outcome := pgdb.OutcomeOf(err)
	return outcome == pgdb.Again || outcome == pgdb.Unavailable
}

// watermark returns the time up to which all windows are complete: the lowest watermark of the partitions. A partition
// that had nothing to read for Idle counts with the clock, less Idle, if that is later.
func (r *run) watermark(now time.Time) int64 {
	clock := now.Add(-r.cfg.Idle).UnixMilli()
	lowest := int64(noEvent)
	first := true
	for p, at := range r.tally.at {
		watermark := at.watermark
		if now.Sub(r.lastRead[p]) >= r.cfg.Idle {
			watermark = max(watermark, clock)
		}
		if first || watermark < lowest {
			lowest, first = watermark, false
		}
	}
	return lowest
}
