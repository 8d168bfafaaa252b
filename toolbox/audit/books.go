package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
)

// connectTime bounds how long a database may take to answer.
const connectTime = 8 * time.Second

// book is one service's database, read in one transaction that sees one moment and cannot write.
type book struct {
	name string
	conn *pgx.Conn
	tx   pgx.Tx
	now  time.Time // the moment that it shows
}

func open(ctx context.Context, name, url string) (*book, error) {
	connecting, cancel := context.WithTimeout(ctx, connectTime)
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

// pages reads a query's rows one after the other, one row ahead, so that several can be merged by their key. The rows come
// in the order of their bytes (COLLATE "C"), which is Go's order of strings.
type pages[T any] struct {
	rows pgx.Rows
	scan func(pgx.Rows, *T) error
	key  func(*T) string
	next T
	more bool
	err  error
	what string
}

func read[T any](ctx context.Context, b *book, what, sql string, scan func(pgx.Rows, *T) error, key func(*T) string) (*pages[T], error) {
	rows, err := b.tx.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	p := &pages[T]{rows: rows, scan: scan, key: key, what: what}
	p.turn()
	return p, p.err
}

// turn reads the next row.
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

// lowest returns the smaller of key and the key of the next row.
func (p *pages[T]) lowest(key string, found bool) (string, bool) {
	if !p.more {
		return key, found
	}
	if k := p.key(&p.next); !found || k < key {
		return k, true
	}
	return key, found
}

// take hands over every row of the key.
func (p *pages[T]) take(key string, each func(T)) {
	for p.more && p.key(&p.next) == key {
		each(p.next)
		p.turn()
	}
}
