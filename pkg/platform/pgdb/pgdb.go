// Package pgdb opens Postgres pools and runs transactions.
package pgdb

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says which database, as whom.
type Config struct {
	URL      string // postgres://orders:secret@host:5432/db
	Schema   string // becomes the search_path; the service's own schema
	AppName  string // application_name in pg_stat_activity
	MaxConns int32  // 0 = the default
}

// Open makes a pool. It does not connect: a database that is down is waited for, not exited for.
func Open(cfg Config, log *slog.Logger) (*pgxpool.Pool, error) { panic("skeleton") }

// Querier is what SQL functions take: a pool, a connection or a transaction.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// InTx runs fn in one READ COMMITTED transaction and commits when it returns nil. An error of the commit itself means
// unknown, not failed. The rollback uses a context that is not cancelled.
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(ctx context.Context, tx pgx.Tx) error) error {
	panic("skeleton")
}

// Wait blocks until the pool answers and `schema` has at least migration `version` applied, logging while it waits, or
// ctx ends.
func Wait(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error { panic("skeleton") }

// IsUnavailable reports whether err means that the database cannot be reached or refuses work just now (connection
// refused or lost, shutting down, too many connections, time-out), as opposed to a statement that is wrong.
func IsUnavailable(err error) bool { panic("skeleton") }

// IsUniqueViolation reports whether err is a unique violation of the named constraint ("" = any).
func IsUniqueViolation(err error, constraint string) bool { panic("skeleton") }
