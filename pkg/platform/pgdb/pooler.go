package pgdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A pooler in transaction mode, such as PgBouncer, gives each transaction another session of the server. So a session must
// hold no state: the role has the settings (RoleSettings), and statements are prepared only if the pooler follows them. This
// file detects a pooler and adapts the connections. docs/decisions/0018 gives the reasons.

// direct is a parameter that only the server itself takes: PgBouncer refuses unknown parameters, other poolers drop them.
const (
	direct    = "pasdetrois.direct"
	directSQL = `SELECT coalesce(current_setting('` + direct + `', true), '')`
)

// refusedByPooler is PgBouncer's code for an unknown parameter. Postgres itself never sends it to our new connections.
const refusedByPooler = "08P01"

// passed are the parameters that every PgBouncer passes on to the server.
var passed = []string{"application_name", "client_encoding", "datestyle", "timezone", "standard_conforming_strings"}

// UnusableError means that the database can be reached, but the services cannot work with it as it is configured.
type UnusableError struct{ advice string }

// Error implements error.
func (e *UnusableError) Error() string { return e.advice }

// pooler describes the way from a pool to its server.
type pooler struct {
	asked   string      // the mode that the URL asks for; "" = none
	between atomic.Bool // a pooler is in between
	follows atomic.Bool // it follows prepared statements
	checked atomic.Bool // the way works
}

// modeOption is pgx's setting for how statements are sent.
const modeOption = "default_query_exec_mode"

// serversOption is libpq's setting for which servers may be connected to.
const serversOption = "target_session_attrs"

// CheckURL returns the reason why a database URL cannot work with any database, nil when it may work. It does not connect.
func CheckURL(databaseURL string) error {
	if _, err := pgxpool.ParseConfig(databaseURL); err != nil {
		return err
	}
	switch mode := option(databaseURL, modeOption); mode {
	case "exec", "simple_protocol":
		return &UnusableError{fmt.Sprintf("%s=%s cannot send what the services store: leave it out, also behind PgBouncer, which is recognised", modeOption, mode)}
	}
	switch servers := option(databaseURL, serversOption); servers {
	case "read-only", "standby":
		return &UnusableError{fmt.Sprintf("%s=%s leads to servers that take no writes, and the services write: leave it out", serversOption, servers)}
	}
	return nil
}

// adapt adapts the pool's connections to a pooler, if there is one.
func (p *pooler) adapt(c *pgxpool.Config) {
	c.ConnConfig.RuntimeParams[direct] = "yes"
	onError := c.ConnConfig.OnPgError
	c.ConnConfig.OnPgError = func(conn *pgconn.PgConn, pg *pgconn.PgError) bool {
		if pg.Code == refusedByPooler && conn.PID() == 0 { // it is only connecting
			p.between.Store(true)
		}
		return onError(conn, pg)
	}
	c.BeforeConnect = func(_ context.Context, cc *pgx.ConnConfig) error {
		if !p.between.Load() {
			return nil
		}
		for name := range cc.RuntimeParams {
			if !slices.Contains(passed, strings.ToLower(name)) {
				delete(cc.RuntimeParams, name)
			}
		}
		if p.asked == "" && !p.follows.Load() {
			cc.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		}
		return nil
	}
	wanted := c.ConnConfig.RuntimeParams
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if p.checked.Load() {
			return nil
		}
		if err := p.check(ctx, conn, wanted); err != nil {
			return err
		}
		p.checked.Store(true)
		return nil
	}
}

// differSQL returns the settings that differ. The server compares, because it has units of its own. Each change lasts for the
// statement.
const differSQL = `SELECT name FROM unnest($1::text[], $2::text[]) AS wanted (name, value)
WHERE current_setting(name, true) IS DISTINCT FROM set_config(name, value, true)`

// errBehindPooler asks for another connection. It is not a fault.
var errBehindPooler = errors.New("the database is behind a pooler, which drops the settings of sessions")

// isPoolerFound reports whether err comes from the connection that detected the pooler. The next one works.
func isPoolerFound(err error) bool {
	pg := serverError(err)
	return errors.Is(err, errBehindPooler) || pg != nil && pg.Code == refusedByPooler
}

// check checks a session: it needs all settings, and finds out how statements can be sent.
func (p *pooler) check(ctx context.Context, conn *pgx.Conn, wanted map[string]string) error {
	const mode = pgx.QueryExecModeCacheDescribe // right in any case
	var is string
	if err := conn.QueryRow(ctx, directSQL, mode).Scan(&is); err != nil {
		return fmt.Errorf("find out whether a pooler is in between: %w", err)
	}
	if is != "" {
		return nil
	}
	if !p.between.Swap(true) {
		return errBehindPooler
	}
	var names, values []string
	for name, value := range wanted {
		switch {
		case name == "options":
			return &UnusableError{"no pooler hands the parameter `options` on: take it out of DATABASE_URL"}
		case name != direct && !slices.Contains(passed, strings.ToLower(name)):
			names, values = append(names, name), append(values, value)
		}
	}
	rows, err := conn.Query(ctx, differSQL, mode, names, values)
	var differ []string
	if err == nil {
		differ, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return fmt.Errorf("compare the session's settings: %w", err)
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		return fmt.Errorf("behind a pooler the role itself has to have these settings: %s (run `pas migrate` on the server's own address, then RECONNECT in PgBouncer)",
			strings.Join(differ, ", "))
	}
	return p.checkStatements(ctx, conn)
}

const preparedSQL = `SELECT count(*) > 0 FROM pg_prepared_statements WHERE name = $1`

// checkStatements finds out whether the pooler follows prepared statements: it then gives them other names on the server.
func (p *pooler) checkStatements(ctx context.Context, conn *pgx.Conn) error {
	switch p.asked {
	case "", "cache_statement":
	case "cache_describe":
		return nil
	default:
		return &UnusableError{fmt.Sprintf("%s=%s cannot work behind a pooler: leave it out", modeOption, p.asked)}
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("find out whether the pooler follows prepared statements: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	name := "pasdetrois_" + rand.Text()
	var kept bool
	_, err = conn.PgConn().Prepare(ctx, name, `SELECT 1`, nil)
	if err == nil {
		err = conn.QueryRow(ctx, preparedSQL, pgx.QueryExecModeCacheDescribe, name).Scan(&kept)
		err = errors.Join(err, conn.PgConn().Deallocate(ctx, name))
	}
	if err != nil {
		return fmt.Errorf("find out whether the pooler follows prepared statements: %w", err)
	}
	if kept && p.asked != "" {
		return &UnusableError{fmt.Sprintf("%s=%s cannot work behind this pooler, which does not follow prepared statements: leave it out, or set max_prepared_statements in PgBouncer 1.21 or newer",
			modeOption, p.asked)}
	}
	p.follows.Store(!kept)
	return nil
}
