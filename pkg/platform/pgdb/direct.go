package pgdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// errNeedsSession is returned for work that keeps state in a session: a lock, a role, settings.
var errNeedsSession = &UnusableError{"the URL leads to a pooler such as PgBouncer, but this needs a session of its own: give the address of the Postgres server itself"}

// ConnectDirect connects to the server itself. Through a pooler it returns an UnusableError.
func ConnectDirect(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
	cfg = cfg.Copy()
	cfg.RuntimeParams[direct] = "yes"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if pg := serverError(err); pg != nil && pg.Code == refusedByPooler {
		return nil, fmt.Errorf("%w (it answers: %s)", errNeedsSession, pg.Message)
	}
	if err != nil {
		return nil, err
	}
	var is string
	err = conn.QueryRow(ctx, directSQL, pgx.QueryExecModeCacheDescribe).Scan(&is)
	if err == nil && is == "" {
		err = errNeedsSession
	}
	if err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return conn, nil
}

// ConnectShared connects to read in transactions. It prepares nothing, so a pooler may be in between.
func ConnectShared(ctx context.Context, databaseURL string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	return pgx.ConnectConfig(ctx, cfg)
}
