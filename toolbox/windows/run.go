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
	// lastTime bounds storing what was counted when the run ends.
	lastTime = 5 * time.Second
	// retryEvery is the pause before Postgres is tried again.
	retryEvery = 200 * time.Millisecond
)

// Config says what to count.
type Config struct {
	Feed        feed.Config
	Size, Grace time.Duration
	// Store keeps counts and offsets; nil keeps them in memory only. With one that has offsets, Feed.Start is not used.
	Store *Store
	// Every is how often what was counted is stored and shown. Idle is how long a partition may have nothing to read before
	// its watermark does not hold windows back.
	Every, Idle time.Duration

	Ready func()         // everything written from now on will be counted; may be nil
	Show  func(Window)   // a window closed, or was corrected
	Live  func(Snapshot) // something changed; may be nil
	Note  func(string)   // something to tell beside the windows
}

// Snapshot is what there is to show at a moment. Windows are the oldest first.
type Snapshot struct {
	Windows  []Window `json:"windows"`
	Counters Counters `json:"counters"`
}

// Summary is what a run came to. Shown counts windows that were shown as closed, a corrected one each time.
type Summary struct {
	Counters
	Shown int64
	Open  []Window // what is not closed at the end
	// Waiting says what is there and could not be read yet. A run that follows leaves it empty.
	Waiting []feed.Waiting
}

// run is one run.
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
	// unmarked says that windows were shown and the store does not know it yet.
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

// Run counts until ctx ends, or until the end of what there is without Feed.Follow.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	summary, err := runAll(ctx, cfg)
	if remade := (*feed.RemadeError)(nil); cfg.Store != nil && errors.As(err, &remade) {
		err = &OldTopicError{remade}
	}
	return summary, hinted(err)
}

func runAll(ctx context.Context, cfg Config) (Summary, error) {
	at := map[partition]position{}
	r := &run{cfg: cfg, board: newBoard(cfg.Size, cfg.Grace), batch: newBatch(), lastRead: map[partition]time.Time{}}
	if cfg.Store != nil {
		maps.Copy(at, cfg.Store.stored)
		if err := cfg.Store.load(ctx, r.board); err != nil {
			return r.summary, err
		}
		if len(at) > 0 { // what is not known from before has come since
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

// begin stores the offsets that a job begins at before it counts anything. Else a process that dies before its first counts
// are stored would begin somewhere else the next time.
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

// end stores what is counted but not stored. At the end of what there is, no partition holds a window back.
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

// flush stores what was counted, and shows it then.
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

// recall puts windows back on the board that were forgotten and are in the stored batch, so that they are shown whole. When
// Postgres does not answer, only what was added to them is shown, and said to be so.
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

// store writes the batch, again and again while Postgres is away. Nothing is read meanwhile.
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
			r.cfg.Note("Postgres does not answer; counting goes on when it does: " + strings.ReplaceAll(err.Error(), "\n", " "))
		}
		if !wait.Sleep(ctx, retryEvery) {
			return ctx.Err()
		}
	}
}

// passes reports whether an error of Postgres may be gone the next time.
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

// watermark says up to when everything that can be known is known: the lowest watermark of the partitions, and the clock
// for those that had nothing to read for a while.
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
