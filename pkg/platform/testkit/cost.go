package testkit

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/pgdb"
)

// OneConn opens a pool of one connection as service, or as the superuser for "", for IndexEntries.
func (d *DB) OneConn(t testing.TB, service string) *pgxpool.Pool {
	t.Helper()
	cfg := pgdb.Config{URL: d.AdminURL, AppName: "test", MaxConns: 1}
	if service != "" {
		cfg.URL, cfg.Schema = d.URL(service), service
	}
	pool, err := pgdb.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closePool(t, pool) })
	return pool
}

// Sessions report their counters with a delay. After this statement, a session reports them at the end of its transaction.
const (
	flushSQL   = `SELECT pg_stat_force_next_flush()`
	entriesSQL = `SELECT coalesce(sum(idx_tup_read), 0)::bigint FROM pg_stat_user_indexes`
)

// IndexEntries runs a statement, rolls it back, and returns how many index entries it read, dead ones included. That is its
// cost on any machine under any load. The pool has one connection, and nothing else may have used the database before: the
// counters are the session's.
func IndexEntries(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) int64 {
	t.Helper()
	ctx := context.Background()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	count := func() (n int64) {
		for _, query := range []string{flushSQL, entriesSQL} {
			if _, err := conn.Exec(ctx, query); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.QueryRow(ctx, entriesSQL).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	tx, err := conn.Begin(ctx)
	if err == nil {
		if _, err = tx.Exec(ctx, sql, args...); err == nil {
			err = tx.Rollback(ctx)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return count() - before
}

// OpenTransaction keeps a transaction open until the test ends. Its snapshot is of now, so Postgres cannot vacuum rows that
// are changed or deleted later.
func (d *DB) OpenTransaction(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, d.AdminURL)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(ctx) })
		_, err = conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
	}
	if err != nil {
		t.Fatal(err)
	}
}
