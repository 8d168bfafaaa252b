package audit

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
)

// connectTime is the default of Config.ConnectTime.
const connectTime = 30 * time.Second

// book is one service's database, read in one transaction that sees one moment and cannot write. One connection runs
// one query at a time: the rows of a query must be read or closed before the next one.
type book struct {
	name string
	conn *pgx.Conn
	tx   pgx.Tx
	now  time.Time // the moment that it shows
}

// open connects and begins the transaction. SELECT now() is its first query: Postgres takes the snapshot with it, so
// the snapshot is never older than book.now. The search path names the service's schema, since the three may share a
// database.
func open(ctx context.Context, name, url string, within time.Duration) (*book, error) {
	connecting, cancel := context.WithTimeout(ctx, cmp.Or(within, connectTime))
	defer cancel()
	conn, err := pgdb.ConnectShared(connecting, url)
	if err != nil {
		return nil, fmt.Errorf("connect to the database of %s: %w", name, err)
	}
	b := &book{name: name, conn: conn}
	b.tx, err = conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err == nil {
		_, err = b.tx.Exec(ctx, "SET LOCAL search_path = "+name)
	}
	if err == nil {
		err = b.tx.QueryRow(ctx, "SELECT now()").Scan(&b.now)
	}
	if err != nil {
		b.close()
		return nil, fmt.Errorf("read the database of %s: %w", name, err)
	}
	return b, nil
}

func (b *book) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = b.conn.Close(ctx) // rolls back, and nothing was written
}

// pages reads a query's rows one after another, always one row ahead, so that several queries can be merged by key. The
// rows arrive in the order of their bytes (COLLATE "C"), which is how Go compares strings. Any other order would break
// the merge: an order and its payment would appear as two orders.
//
// After an error, more is false and err stays. The merge sees an early end of the rows, so its caller must check err at
// last.
type pages[T any] struct {
	rows pgx.Rows
	scan func(pgx.Rows, *T) error
	key  func(*T) string
	next T
	more bool
	err  error
	what string
}

// read starts the query and reads its first row. The argument what names the rows in errors.
func read[T any](ctx context.Context, b *book, what, sql string, scan func(pgx.Rows, *T) error, key func(*T) string) (*pages[T], error) {
	rows, err := b.tx.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	p := &pages[T]{rows: rows, scan: scan, key: key, what: what}
	p.turn()
	return p, p.err
}

// turn reads the next row into next, or sets more to false at the end and after an error.
func (p *pages[T]) turn() {
	var zero T
	p.next = zero
	if p.more = p.rows.Next(); !p.more {
		p.err = p.rows.Err()
	} else if p.err = p.scan(p.rows, &p.next); p.err != nil {
		p.more = false
	}
	if p.err != nil {
		p.err = fmt.Errorf("read %s: %w", p.what, p.err)
	}
}

// lowest returns the smaller of key and the key of the next row. found says whether key counts, and the result says
// whether any stream had a row.
func (p *pages[T]) lowest(key string, found bool) (string, bool) {
	if !p.more {
		return key, found
	}
	if k := p.key(&p.next); !found || k < key {
		return k, true
	}
	return key, found
}

// take passes every row of the key to each. No row passes for a key that this query does not have.
func (p *pages[T]) take(key string, each func(T)) {
	for p.more && p.key(&p.next) == key {
		each(p.next)
		p.turn()
	}
}
