package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"pasdetrois/pkg/platform/pgdb"
)

// MoveSequences moves each sequence of the service's schema that is behind the rows of its table to the highest id, and returns
// these sequences as they were. Logical replication leaves them behind. It never moves a sequence back. UpService does the same
// before its migrations, since goose numbers its own rows by such a sequence. Safe to run by several at a time, and beside
// services at work.
func MoveSequences(ctx context.Context, adminURL, service string, roles Roles) (moved []pgdb.Sequence, err error) {
	own, err := fs.Sub(files, service)
	if err != nil {
		return nil, fmt.Errorf("migrations of %s: %w", service, err)
	}
	err = with(ctx, adminURL, service, own, roles, func(ctx context.Context, _ *goose.Provider, db *sql.DB, _ named) error {
		some, err := moveSequences(ctx, db, service)
		moved = append(moved, some...) // with runs this again after a wait for a lock
		return err
	})
	return moved, err
}

// moveSequences returns the sequences that it moved, also with an error. db acts as the schema's owner.
func moveSequences(ctx context.Context, db *sql.DB, service string) (moved []pgdb.Sequence, err error) {
	session, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	err = session.Raw(func(driver any) error {
		conn := driver.(*stdlib.Conn).Conn()
		behind, err := pgdb.SequencesBehind(ctx, conn, service)
		for _, s := range behind {
			if err := moveSequence(ctx, conn, s); err != nil {
				return fmt.Errorf("move the sequence of %s: %w", s.Table, err)
			}
			moved = append(moved, s)
		}
		return err
	})
	return moved, err
}

// An INSERT locks the table before it takes an id, and this lock waits for it. So no session takes an id between the comparison
// and setval, and the sequence cannot go back.
const (
	lockSQL = `LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE`
	moveSQL = `SELECT setval($1::regclass, highest) FROM %[1]s, (SELECT max(%[2]s) AS highest FROM %[3]s) AS kept
WHERE highest > last_value - (NOT is_called)::int`
)

func moveSequence(ctx context.Context, owner *pgx.Conn, s pgdb.Sequence) error {
	tx, err := owner.Begin(ctx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(lockSQL, s.Table))
	if err == nil {
		_, err = tx.Exec(ctx, fmt.Sprintf(moveSQL, s.Name, quoted(s.Column), s.Table), s.Name)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
	}
	return tx.Commit(ctx)
}
