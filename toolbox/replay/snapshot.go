package replay

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
)

// row is one row of a view replay_... . Only hash decides whether two rows are equal; is describes the state to people.
type row struct {
	table   int // index in the tables
	key     string
	about   string // order or message id; "" = nothing but the key
	settled bool
	alone   string // the step that changed the row last without a message; "" when a message did
	is      string // in words
	hash    string
}

// snapshot is the state at one moment, in a temporary file, so that memory does not grow with the orders. The rows are
// in the order of table and key. Each row is written as follows, a string as its length (uvarint) and its bytes:
//
//	table (1 byte) | settled (1 byte) | key | about | alone | is | hash
type snapshot struct{ file *os.File }

// take reads all tables in one read-only transaction, which shows one moment. The caller must remove the snapshot. An
// error leaves no file behind.
func take(ctx context.Context, databaseURL, service string) (*snapshot, error) {
	conn, err := pgdb.ConnectShared(ctx, databaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect to the database of %s: %w", service, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err == nil {
		_, err = tx.Exec(ctx, "SET LOCAL search_path = "+pgx.Identifier{service}.Sanitize())
	}
	if err != nil {
		return nil, fmt.Errorf("read the database of %s: %w", service, err)
	}
	file, err := os.CreateTemp("", "pas-replay-*")
	if err != nil {
		return nil, fmt.Errorf("keep the state for comparing: %w", err)
	}
	_ = os.Remove(file.Name()) // Unix keeps an open file, and frees it even if this process is killed; elsewhere remove deletes it
	s := &snapshot{file}
	w := bufio.NewWriterSize(file, 1<<16)
	for i, t := range tables(service) {
		if err := copyTable(ctx, tx, i, t, w); err != nil {
			s.remove()
			return nil, err
		}
	}
	if err := w.Flush(); err != nil {
		s.remove()
		return nil, fmt.Errorf("keep the state for comparing: %w", err)
	}
	return s, nil
}

// copyTable writes the rows of one table as they arrive. It keeps one row in memory.
func copyTable(ctx context.Context, tx pgx.Tx, index int, t table, w *bufio.Writer) error {
	rows, err := tx.Query(ctx, t.sql())
	if err != nil {
		return fmt.Errorf("read %s: %w", t.name, err)
	}
	r := row{table: index}
	_, err = pgx.ForEachRow(rows, []any{&r.key, &r.about, &r.settled, &r.alone, &r.is, &r.hash}, func() error { return r.write(w) })
	if err != nil {
		return fmt.Errorf("read %s: %w", t.name, err)
	}
	return nil
}

// remove closes and deletes the file. It accepts nil: a run may end before its snapshot.
func (s *snapshot) remove() {
	if s != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}

// write appends the row in the format that snapshot describes.
func (r *row) write(w *bufio.Writer) error {
	settled := byte(0)
	if r.settled {
		settled = 1
	}
	err := errors.Join(w.WriteByte(byte(r.table)), w.WriteByte(settled))
	for _, text := range []string{r.key, r.about, r.alone, r.is, r.hash} {
		_, lengthErr := w.Write(binary.AppendUvarint(nil, uint64(len(text))))
		_, textErr := w.WriteString(text)
		err = errors.Join(err, lengthErr, textErr)
	}
	return err
}

// reader reads a snapshot from its beginning, one row ahead.
type reader struct {
	r    *bufio.Reader
	next *row // nil at the end
}

// read begins at the first row. A snapshot has one reader at a time, since they share the file's position.
func (s *snapshot) read() (*reader, error) {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	r := &reader{r: bufio.NewReaderSize(s.file, 1<<16)}
	return r, r.turn()
}

// turn reads the next row. A file that ends within a row is an error.
func (r *reader) turn() error {
	r.next = nil
	var head [2]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		return err
	}
	next := &row{table: int(head[0]), settled: head[1] == 1}
	for _, text := range []*string{&next.key, &next.about, &next.alone, &next.is, &next.hash} {
		length, err := binary.ReadUvarint(r.r)
		if err != nil {
			return err
		}
		b := make([]byte, length)
		if _, err := io.ReadFull(r.r, b); err != nil {
			return err
		}
		*text = string(b)
	}
	r.next = next
	return nil
}

// sooner reports whether r comes before other in a snapshot. Go compares strings as COLLATE "C" does.
func (r *row) sooner(other *row) bool {
	if r.table != other.table {
		return r.table < other.table
	}
	return r.key < other.key
}

// pair merges two snapshots: it calls each once for each key, in order, with nil for the side that does not have the
// row. Both snapshots must have the same tables.
func pair(before, after *snapshot, each func(was, is *row)) error {
	a, err := before.read()
	if err != nil {
		return fmt.Errorf("read the kept state: %w", err)
	}
	b, err := after.read()
	if err != nil {
		return fmt.Errorf("read the kept state: %w", err)
	}
	for a.next != nil || b.next != nil {
		var was, is *row
		if b.next == nil || a.next != nil && !b.next.sooner(a.next) {
			was = a.next
		}
		if a.next == nil || b.next != nil && !a.next.sooner(b.next) {
			is = b.next
		}
		each(was, is)
		if was != nil {
			err = a.turn()
		}
		if is != nil {
			err = errors.Join(err, b.turn())
		}
		if err != nil {
			return fmt.Errorf("read the kept state: %w", err)
		}
	}
	return nil
}
