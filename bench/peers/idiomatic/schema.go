package main

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed schema.sql
var schemaSQL string

// schemaLock serialises processes that start at the same time: concurrent CREATE statements of one table fail,
// even with IF NOT EXISTS.
const schemaLock = `SELECT pg_advisory_xact_lock(hashtextextended('peers.idiomatic.schema', 0))`

// makeSchema makes the tables of all services, unless they exist. Its lock ends with the transaction.
func makeSchema(ctx context.Context, databaseURL string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("connect to postgres: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, schemaLock); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, schemaSQL)
		return err
	})
	if err != nil {
		return fmt.Errorf("make the schema: %w", err)
	}
	return nil
}

// maxConns is enough for every partition's handler, the Forwarder and a queue of requests at the same time.
const maxConns = 24

// openPool opens a service's pool. The service's tables, and those that watermill makes, are in a schema of its
// own.
func openPool(ctx context.Context, databaseURL, service string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("read DATABASE_ADMIN_URL: %w", err)
	}
	cfg.MaxConns = maxConns
	cfg.ConnConfig.RuntimeParams["search_path"] = service
	cfg.ConnConfig.RuntimeParams["application_name"] = "idiomatic-" + service
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open a pool for %s: %w", service, err)
	}
	return pool, nil
}
