// Package pgdb opens Postgres pools, runs transactions, and classifies the errors of Postgres by what a caller may do.
package pgdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/wait"
)

const (
	// connectTimeout is short enough for an HTTP request to answer 503 in time when the database is gone.
	connectTimeout = 1500 * time.Millisecond
	waitEvery      = 250 * time.Millisecond
)

// plannerOff has the plans that no statement of a service should use: each statement finds a few rows by key. A prepared
// statement keeps the plan that was made while its tables were small, and uses it while they grow. For small tables, reading a
// whole table seems cheapest. Small tables that change all the time are the worst: a scan reads all rows that an open
// transaction keeps. jit is off because a statement that has only such plans counts as so expensive that it would be compiled
// each time.
var plannerOff = [...]string{"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin",
	"enable_material", "jit"}

// Config has the database and the login.
type Config struct {
	URL      string          // postgres://orders:secret@host:5432/db
	Schema   string          // becomes the search_path; the service's own schema
	AppName  string          // application_name in pg_stat_activity
	MaxConns int32           // 0 = pgx's default
	Tracer   pgx.QueryTracer // sees each statement; nil = none
}

// Open makes a pool. It does not connect: a service waits for a database that is down.
//
// Each connection leads to a server that takes writes, unless the URL sets target_session_attrs. An error that shows that
// the other connections are useless too, such as that of a demoted server, closes all of them.
func Open(cfg Config) (*pgxpool.Pool, error) {
	if err := CheckURL(cfg.URL); err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	c, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	sessionParams(c.ConnConfig.RuntimeParams, cfg.Schema)
	if cfg.AppName != "" {
		c.ConnConfig.RuntimeParams["application_name"] = cfg.AppName
	}
	way := &pooler{asked: option(cfg.URL, modeOption)}
	bound(c.ConnConfig, cfg.URL, way.between.Load)
	c.ConnConfig.ConnectTimeout = connectTimeout
	c.ConnConfig.Tracer = cfg.Tracer
	if cfg.MaxConns > 0 {
		c.MaxConns = cfg.MaxConns
	}
	var opened atomic.Pointer[pgxpool.Pool]
	before := c.ConnConfig.OnPgError
	c.ConnConfig.OnPgError = func(conn *pgconn.PgConn, pg *pgconn.PgError) bool {
		if !isOutdated(pg) {
			return before(conn, pg)
		}
		if pool := opened.Load(); pool != nil {
			pool.Reset()
		}
		return false // closes this one
	}
	way.adapt(c)
	pool, err := pgxpool.NewWithConfig(context.Background(), c)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	opened.Store(pool)
	return pool, nil
}

// Querier runs statements: a pool, a connection or a transaction.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// migratedSQL returns whether the schema in the search_path has at least one applied migration.
const migratedSQL = `SELECT count(*) > 0 FROM goose_db_version WHERE version_id > 0 AND is_applied`

// Wait blocks until the pool answers and the schema of its search_path is migrated, or ctx ends. It logs while it waits. It
// returns an UnusableError when waiting does not help.
func Wait(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error {
	pooled := false
	for attempt := 1; ; attempt++ {
		var migrated bool
		err := pool.QueryRow(ctx, migratedSQL).Scan(&migrated)
		if err == nil && migrated {
			return nil
		}
		var unusable *UnusableError
		if errors.As(err, &unusable) {
			return unusable
		}
		if isPoolerFound(err) && !pooled {
			pooled = true
			log.Info("the database is behind a pooler: nothing is kept in a session")
			attempt--
			continue
		}
		if err == nil || isNotMigrated(err) {
			err = errors.New("the schema is not migrated yet (run `pas migrate`)")
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if attempt == 1 || attempt%40 == 0 {
			log.Warn("waiting for the database", "attempt", attempt, "err", err)
		}
		if !wait.Sleep(ctx, waitEvery) {
			return ctx.Err()
		}
	}
}
