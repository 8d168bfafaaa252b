package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
)

const (
	// workerPoll is the time between two searches for letters that another replica's admin port marked, or that a crash left
	// behind.
	workerPoll = 2 * time.Second
	// replayLease is the time that one replica may be busy with a letter before another may take it over.
	replayLease = time.Minute
	// replayTimeout bounds one replay, and noteTimeout the note of its outcome; together they stay below the lease.
	replayTimeout = 30 * time.Second
	noteTimeout   = 10 * time.Second
)

// Replayer puts one record through its use case again and publishes the results; bus.Consumer is one.
type Replayer interface {
	Handle(ctx context.Context, r messages.Record) error
}

// Worker replays the letters that an operator marked, one after the other. Each replica has one; the claims keep two of them from
// replaying one letter at the same time.
type Worker struct {
	store    *Store
	replayer Replayer
	log      *slog.Logger
	wake     chan struct{}

	failures *httpx.Failures // of the admin API
}

// NewWorker makes a worker; Run runs it.
func NewWorker(store *Store, replayer Replayer, log *slog.Logger) *Worker {
	return &Worker{store: store, replayer: replayer, log: log, failures: httpx.NewFailures(log, pgdb.IsUnavailable), wake: make(chan struct{}, 1)}
}

// Wake makes Run search now. It never blocks.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run replays until ctx ends. A replay that has begun is finished: a replay that is cut off is repeated, but only after its
// lease.
func (w *Worker) Run(ctx context.Context) error {
	poll := time.NewTicker(workerPoll)
	defer poll.Stop()
	for {
		for {
			found, err := w.replayOne(ctx)
			if err != nil && ctx.Err() == nil {
				w.log.Warn("replaying a dead letter failed, retrying", "err", err)
			}
			if !found || err != nil || ctx.Err() != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		case <-poll.C:
		}
	}
}

// A claim counts the attempt and renews changed_at, which is the lease. A letter never claimed has no attempt newer
// than its mark, so it is free at once.
const claimSQL = `
UPDATE dead_letters SET attempts = attempts + 1, changed_at = now(), claimed_at = now()
WHERE id = (SELECT id FROM dead_letters
            WHERE state = 'replaying' AND (claimed_at IS NULL OR claimed_at < now() - $1::interval)
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING ` + letterColumns

// Only the newest claim notes the outcome: after a claim lost its lease, another replica may have replayed the letter.
const replayedSQL = `
UPDATE dead_letters SET state = 'replayed', claimed_at = NULL, changed_at = now()
WHERE id = $1 AND state = 'replaying' AND attempts = $2`

const failedAgainSQL = `
UPDATE dead_letters SET state = 'parked', claimed_at = NULL, changed_at = now(), reason = $3, detail = $4
WHERE id = $1 AND state = 'replaying' AND attempts = $2`

// replayOne claims the oldest marked letter, replays it and notes the outcome. found is false without such a letter. A failure of
// the replay parks the letter again, and is no error of replayOne. After an error of the note, the letter is claimed again when
// its lease ends; the use case may then find a duplicate.
func (w *Worker) replayOne(ctx context.Context) (found bool, err error) {
	l, err := pgdb.CollectOne(ctx, w.store.pool, scanLetter, claimSQL, replayLease.String())
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("claim a dead letter: %w", err)
	}

	failure := w.handle(ctx, l)
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if failure == nil {
		w.log.Info("dead letter replayed", "topic", l.Record.Topic, "partition", l.Record.Partition, "offset", l.Record.Offset, "attempt", l.Attempts)
		_, err = pgdb.Exec(note, w.store.pool, replayedSQL, l.ID, l.Attempts)
	} else {
		reason := l.Reason // a transient failure says nothing new about the message
		if fault.KindOf(failure) == fault.Permanent {
			reason = fault.Reason(failure)
		}
		w.log.Warn("dead letter failed again", "topic", l.Record.Topic, "partition", l.Record.Partition, "offset", l.Record.Offset,
			"attempt", l.Attempts, "status", reason, "err", failure)
		_, err = pgdb.Exec(note, w.store.pool, failedAgainSQL, l.ID, l.Attempts, reason, printable(failure.Error()))
	}
	if err != nil {
		return true, fmt.Errorf("note the replay of dead letter %d: %w", l.ID, err)
	}
	return true, nil
}

// handle runs the replay with a context that outlives ctx: a shutdown waits for it, up to replayTimeout.
func (w *Worker) handle(ctx context.Context, l Letter) error {
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayTimeout)
	defer cancel()
	return w.replayer.Handle(work, l.Record)
}
