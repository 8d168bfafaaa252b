package erasure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/wait"
)

const (
	// reloadEvery is the time between two looks for new erasures.
	reloadEvery = 2 * time.Second
	// Settle is the time after which every replica that answers its database has read an erasure.
	Settle = 3 * reloadEvery
)

// ErrNoKey means that no key is set, or not the one of erasures that are there.
var ErrNoKey = errors.New("the key of erasures is missing")

// Register has the erasures of a service's schema in memory: about 100 bytes each. Safe for concurrent use.
type Register struct {
	pool *pgxpool.Pool
	keys Keys
	log  *slog.Logger

	mu      sync.Mutex            // held while the table is read: an older snapshot never replaces a younger one
	known   atomic.Pointer[known] // nil until the first Load
	missing atomic.Pointer[error] // wraps ErrNoKey; nil once a Load has found all keys
}

// known is a snapshot of the table erasures.
type known struct {
	at     map[string]time.Time // by pseudonym
	count  int64                // users
	times  int64                // erasures of all users
	latest time.Time
}

// NewRegister returns a register that knows nothing yet: Load or Run reads the table.
func NewRegister(pool *pgxpool.Pool, keys Keys, log *slog.Logger) *Register {
	return &Register{pool: pool, keys: keys, log: log}
}

const (
	summarySQL  = `SELECT count(*), coalesce(sum(times), 0), coalesce(max(erased_at), to_timestamp(0)) FROM erasures`
	erasuresSQL = `SELECT pseudonym, key_id, erased_at FROM erasures`
)

// Load reads the erasures that are there now. It returns an error that wraps ErrNoKey when their key is missing.
func (r *Register) Load(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.load(ctx)
	if err == nil {
		r.missing.Store(nil)
		return nil
	}
	err = fmt.Errorf("read the erasures: %w", err)
	if errors.Is(err, ErrNoKey) {
		r.missing.Store(&err)
	}
	return err
}

func (r *Register) load(ctx context.Context) error {
	next := known{}
	if err := r.pool.QueryRow(ctx, summarySQL).Scan(&next.count, &next.times, &next.latest); err != nil {
		return err
	}
	if now := r.known.Load(); now != nil && now.count == next.count && now.times == next.times && now.latest.Equal(next.latest) {
		return nil
	}
	next.at = make(map[string]time.Time, next.count)
	missing := map[string]int{}
	var pseudonym, keyID string
	var at time.Time
	rows, err := r.pool.Query(ctx, erasuresSQL)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, []any{&pseudonym, &keyID, &at}, func() error {
		next.at[pseudonym] = at
		if !r.keys.Has(keyID) {
			missing[keyID]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id, n := range missing {
		return fmt.Errorf("%w: %d users were erased with the key %s, and ERASURE_KEY_FILE does not have it: add it on a line below the others", ErrNoKey, n, id)
	}
	r.known.Store(&next)
	return nil
}

// Run reads the erasures again every few seconds until ctx ends. While the database does not answer, the snapshot stays.
// While a key is missing, Map returns an error.
func (r *Register) Run(ctx context.Context) error {
	for failures := 0; wait.Sleep(ctx, reloadEvery); {
		attempt, cancel := context.WithTimeout(ctx, reloadEvery)
		err := r.Load(attempt)
		cancel()
		switch {
		case err == nil || ctx.Err() != nil:
			failures = 0
		case errors.Is(err, ErrNoKey):
			if failures%5 == 0 {
				r.log.Warn("nothing is consumed before the key is there", "err", err)
			}
			failures++
		default:
			r.log.Debug("the erasures were not read, trying again", "err", err)
		}
	}
	return nil
}

// Await loads the erasures, and tries again until that succeeds or ctx ends. No record may be handled before.
func (r *Register) Await(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := r.Load(ctx)
		if err == nil {
			return nil
		}
		if attempt == 1 || attempt%30 == 0 {
			r.log.Warn("nothing is consumed before the erasures are read", "attempt", attempt, "err", err)
		}
		if !wait.Sleep(ctx, wait.Backoff(attempt, 250*time.Millisecond, reloadEvery)) {
			return ctx.Err()
		}
	}
}

// Check is a readiness check. It fails when a key is missing, and passes while the database does not answer: the check of the
// database reports that.
func (r *Register) Check(context.Context) error {
	return r.keyless()
}

// keyless returns the error of a key that is missing.
func (r *Register) keyless() error {
	if err := r.missing.Load(); err != nil {
		return *err
	}
	return nil
}

// Of returns the pseudonym of a user for a record that was made at a time. erased is false for a user who was not erased, and for a
// record that is younger than the erasure. After a rotation of keys a user may have two pseudonyms: the first erasure that covers the
// record counts, as it did when the row was rewritten.
func (r *Register) Of(user string, made time.Time) (pseudonym string, erased bool) {
	now := r.known.Load()
	if now == nil || len(now.at) == 0 || user == "" {
		return "", false
	}
	var first time.Time
	for _, k := range r.keys.keys {
		p := k.pseudonym(user)
		if at, ok := now.at[p]; ok && !made.After(at) && (!erased || at.Before(first)) {
			pseudonym, erased, first = p, true, at
		}
	}
	return pseudonym, erased
}

// Any reports whether anybody was erased.
func (r *Register) Any() bool {
	now := r.known.Load()
	return now != nil && len(now.at) > 0
}

// Map returns a message of an erased user as one of the pseudonym, with the record that says so. A record that a service stores,
// such as a held message, has no name in it then. Other messages are returned as they are. While a key is missing nobody knows who was
// erased, so it returns an error that wraps ErrNoKey: the record waits.
func (r *Register) Map(m messages.Message, record messages.Record) (messages.Message, messages.Record, error) {
	if err := r.keyless(); err != nil {
		return m, record, err
	}
	mapped, erased := r.Message(m)
	if !erased {
		return m, record, nil
	}
	again, err := mapped.Record()
	if err != nil {
		return m, record, fmt.Errorf("replace an erased user: %w", err)
	}
	again.Topic, again.Partition, again.Offset, again.Time = record.Topic, record.Partition, record.Offset, record.Time
	return mapped, again, nil
}

// Message returns a message of an erased user as one of the pseudonym, and true; any other as it is.
func (r *Register) Message(m messages.Message) (_ messages.Message, erased bool) {
	if !r.Any() {
		return m, false
	}
	pseudonym, erased := r.Of(messages.UserOf(m.Event), m.Time)
	if erased {
		m.Event = messages.WithoutUser(m.Event, pseudonym)
	}
	return m, erased
}
