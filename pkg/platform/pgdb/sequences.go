package pgdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Logical replication copies rows and their ids, and leaves the sequences that gave the ids out where they are. A sequence
// that is behind its rows gives out ids that stand in the table, and each insert fails until the sequence has passed them.
// docs/decisions/0043 has the reasons for what is done then.

// Sequence is the sequence of an identity column.
type Sequence struct {
	Table   string // with its schema, as SQL
	Column  string
	Name    string // of the sequence, with its schema, as SQL
	Last    int64  // the id that it gave out last
	Highest int64  // the highest id in the table
}

// SequenceError means that the database refused a row because its sequence gave out an id that stands in the table already.
type SequenceError struct {
	Table string
	err   error
}

// Error implements error. It names the command that helps.
func (e *SequenceError) Error() string {
	return fmt.Sprintf("the sequence of %s is behind the table's rows, as after a move by replication: run `pas migrate`", e.Table)
}

// Unwrap returns the server's error, nil where the statement had none.
func (e *SequenceError) Unwrap() error { return e.err }

// OnConflict returns err, or a SequenceError when err is a conflict of a new row's id. The table's primary key is an identity
// column with Postgres's own name for the key.
func OnConflict(err error, table string) error {
	if IsUniqueViolation(err, table+"_pkey") {
		return &SequenceError{Table: table, err: err}
	}
	return err
}

// comparisonSQL returns a statement that compares each identity column of the schema with its sequence, or "" without such a
// column. The server writes it, because names of tables are no parameters.
const comparisonSQL = `
SELECT coalesce(string_agg(format(
    'SELECT %L, %L, %L, last, highest FROM (SELECT last_value - (NOT is_called)::int AS last FROM %s) AS given, (SELECT max(%I) AS highest FROM %s) AS kept WHERE highest > last',
    t.name, a.attname, s.name, s.name, a.attname, t.name), ' UNION ALL '), '')
FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attidentity <> '' AND NOT a.attisdropped
CROSS JOIN LATERAL (SELECT format('%I.%I', n.nspname, c.relname) AS name) AS t
CROSS JOIN LATERAL (SELECT pg_get_serial_sequence(t.name, a.attname) AS name) AS s
WHERE n.nspname = coalesce(nullif($1, ''), current_schema())`

// SequencesBehind returns the sequences of the schema that are behind the rows of their tables; "" is the current schema. It
// reads one row at the end of an index for each. A schema that does not exist has none.
func SequencesBehind(ctx context.Context, q Querier, schema string) ([]Sequence, error) {
	var compare string
	if err := q.QueryRow(ctx, comparisonSQL, schema).Scan(&compare); err != nil {
		return nil, fmt.Errorf("list the sequences: %w", err)
	}
	if compare == "" {
		return nil, nil
	}
	behind, err := Collect(ctx, q, pgx.RowToStructByPos[Sequence], compare)
	if err != nil {
		return nil, fmt.Errorf("compare the sequences with their tables: %w", err)
	}
	return behind, nil
}

// CheckSequences is a readiness check: it returns a SequenceError for each sequence of the current schema that is behind the
// rows of its table. A store calls it, too, after a statement whose ON CONFLICT covers several keys, the primary key among
// them: there the server returns no error.
func CheckSequences(ctx context.Context, q Querier) error {
	behind, err := SequencesBehind(ctx, q, "")
	all := []error{err}
	for _, s := range behind {
		all = append(all, fmt.Errorf("%w (last id %d, highest %d)", &SequenceError{Table: s.Table}, s.Last, s.Highest))
	}
	return errors.Join(all...)
}
