package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/pgdb"
)

// Data is what a service keeps about users. Its store implements it.
type Data interface {
	// Erase replaces the person in the service's rows, in the caller's transaction, and adds the person's addresses to p. It
	// returns how many rows of each kind it changed, and an *UnfinishedError when something of the person has not ended.
	Erase(ctx context.Context, tx *pgdb.Tx, p *Person, pseudonym string) (Counts, error)
	// Export calls put with each row about the user, kind by kind, and holds few rows in memory. An error of put ends it.
	Export(ctx context.Context, user string, put func(kind string, row any) error) error
}

// Counts are numbers of rows by kind.
type Counts map[string]int64

// UnfinishedError means that a user cannot be erased yet.
type UnfinishedError struct {
	Things   string   // the plural of what is open
	Open     []string // ids of those that are not settled; the first ones
	Messages int64    // about the user, on their way to Kafka
}

// Error implements error.
func (e *UnfinishedError) Error() string {
	var why []string
	if len(e.Open) > 0 {
		why = append(why, "the user has "+e.Things+" that are not settled: "+strings.Join(e.Open, ", ")+": cancel them or wait")
	}
	if e.Messages > 0 {
		why = append(why, fmt.Sprintf("messages about the user that are not in Kafka yet: %d: wait until the relay has published them", e.Messages))
	}
	return strings.Join(why, "; ")
}

// Result is what an erasure did, or would do.
type Result struct {
	Pseudonym string    `json:"pseudonym"`
	KeyID     string    `json:"key_id" doc:"Names the key of the pseudonym, so that services with different keys show"`
	ErasedAt  time.Time `json:"erased_at" doc:"Records that are not younger are read as the pseudonym's"`
	Counts    Counts    `json:"counts" doc:"Rows that were changed or deleted, by kind"`
	DryRun    bool      `json:"dry_run"`
}

// Eraser erases users of one service. Safe for concurrent use.
type Eraser struct {
	pool     *pgxpool.Pool
	keys     Keys
	data     Data
	register *Register
}

// NewEraser returns an eraser over a service's data. The register learns each erasure at once.
func NewEraser(pool *pgxpool.Pool, keys Keys, data Data, register *Register) *Eraser {
	return &Eraser{pool: pool, keys: keys, data: data, register: register}
}

// errDryRun rolls a dry run back.
var errDryRun = errors.New("a dry run changes nothing")

// Erasing the same user twice at once would count rows twice.
const lockSQL = `SELECT pg_advisory_xact_lock(hashtextextended('pasdetrois.erase:' || $1, 0))`

const auditLogSQL = `SELECT pseudonymise_audit_log($1, $2)`

// The counts of all erasures of a user are added up. The time is the database's: the transactions of all replicas have it.
const recordSQL = `INSERT INTO erasures AS e (pseudonym, key_id, erased_at, counts) VALUES ($1, $2, clock_timestamp(), $3)
ON CONFLICT (pseudonym) DO UPDATE SET erased_at = excluded.erased_at, times = e.times + 1,
  counts = (SELECT jsonb_object_agg(kind, n) FROM (
    SELECT kind, sum(value::bigint) AS n FROM (SELECT * FROM jsonb_each_text(e.counts) UNION ALL SELECT * FROM jsonb_each_text(excluded.counts))
      AS counted (kind, value) GROUP BY kind) AS summed)
RETURNING erased_at`

// Erase replaces a user in one transaction; a dry run rolls it back. Its errors are ErrNoKey, *UnfinishedError, and those of the
// database. After an error of the commit it is unknown whether it happened: call it again.
func (e *Eraser) Erase(ctx context.Context, user string, dryRun bool) (Result, error) {
	if !e.keys.Any() {
		return Result{}, fmt.Errorf("%w: ERASURE_KEY_FILE is not set: set it for all services to a file with one line of 32 random bytes or more, such as of `openssl rand -base64 32`", ErrNoKey)
	}
	if err := e.register.Load(ctx); err != nil {
		return Result{}, err
	}
	var done Result
	err := pgdb.InTx(ctx, e.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		done = Result{Pseudonym: e.keys.Pseudonym(user), KeyID: e.keys.ID(), DryRun: dryRun, Counts: Counts{}}
		if err := e.erase(ctx, tx, NewPerson(user), &done); err != nil {
			return fmt.Errorf("erase a user: %w", err)
		}
		if dryRun {
			return errDryRun
		}
		return nil
	})
	if dryRun && errors.Is(err, errDryRun) {
		return done, nil
	}
	if err != nil {
		return Result{}, err
	}
	if err := e.register.Load(ctx); err != nil { // it happened all the same, and every replica reads it soon
		e.register.log.Warn("an erasure was made, and the erasures were not read again yet", "err", err)
	}
	return done, nil
}

func (e *Eraser) erase(ctx context.Context, tx *pgdb.Tx, p *Person, done *Result) error {
	if _, err := tx.Exec(ctx, lockSQL, done.Pseudonym); err != nil {
		return err
	}
	counts, err := e.data.Erase(ctx, tx, p, done.Pseudonym)
	if err != nil {
		return err
	}
	maps.Copy(done.Counts, counts)
	if done.Counts["dead_letters"], err = deadletter.Erase(ctx, tx, p.InLetter); err != nil {
		return err
	}
	done.Counts["audit_log"], err = pgdb.CollectOne(ctx, tx, pgx.RowTo[int64], auditLogSQL, p.User, done.Pseudonym)
	if err != nil {
		return fmt.Errorf("replace the user in the audit log: %w", err)
	}
	encoded, err := json.Marshal(done.Counts)
	if err != nil {
		return err
	}
	done.ErasedAt, err = pgdb.CollectOne(ctx, tx, pgx.RowTo[time.Time], recordSQL, done.Pseudonym, done.KeyID, encoded)
	if err != nil {
		return fmt.Errorf("record the erasure: %w", err)
	}
	return auditlog.Add(ctx, tx, auditlog.Entry{Operation: "user.erase", Subject: done.Pseudonym, Details: map[string]any{"counts": done.Counts}})
}
