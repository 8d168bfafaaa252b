package arm

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
)

// database is one database, under a superuser's URL. Each call has a connection of its own: none stays open
// while the clock runs.
type database struct{ url string }

// AdminURL returns a superuser's URL.
func (d database) AdminURL() string { return d.url }

// As returns the URL of a service's role.
func (d database) As(role string) string { return pgdb.As(d.url, role) }

// with calls do with a connection that it closes afterwards, also after a cancellation.
func (d database) with(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return do(conn)
}

// exec runs a statement.
func (d database) exec(ctx context.Context, sql string, args ...any) error {
	return d.with(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, sql, args...); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		return nil
	})
}

// read scans every row of a query into the same variables, and calls each (may be nil) after each row.
func (d database) read(ctx context.Context, into []any, each func(), sql string, args ...any) error {
	return d.with(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return fmt.Errorf("read the database: %w", err)
		}
		_, err = pgx.ForEachRow(rows, into, func() error {
			if each != nil {
				each()
			}
			return nil
		})
		return err
	})
}

// Count returns the number that a query selects.
func (d database) Count(ctx context.Context, sql string) (n int64, err error) {
	err = d.read(ctx, []any{&n}, nil, sql)
	return n, err
}

// Analyze updates the planner's statistics. Tables grow from nothing within seconds here, which is faster than
// autovacuum.
func (d database) Analyze(ctx context.Context) error { return d.exec(ctx, "ANALYZE") }

// All arms store their notifications under these names.
const sentSQL = `SELECT user_id, sent_at FROM notifications.notifications WHERE sent_at IS NOT NULL`

// sentAt returns the moment at which each customer's email was emitted. A customer has one order, so the name
// identifies it.
func (d database) sentAt(ctx context.Context) (map[string]time.Time, error) {
	sent := map[string]time.Time{}
	var user string
	var at time.Time
	return sent, d.read(ctx, []any{&user, &at}, func() { sent[user] = at }, sentSQL)
}
