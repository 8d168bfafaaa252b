//go:build rebuild

package rebuild

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// kept is the provider's books, which are outside.
const kept = "provider_ledger"

// backup is the content of a service's schema at one moment, as pg_dump would have it.
type backup struct {
	schema    string
	tables    map[string][]byte
	sequences map[string]int64
}

const (
	tablesSQL = `SELECT c.relname FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND c.relpersistence = 'p'
AND c.relname NOT LIKE 'goose%' AND c.relname <> $2 ORDER BY 1`
	sequencesSQL = `SELECT sequencename AS name, coalesce(last_value, 0) AS value FROM pg_sequences WHERE schemaname = $1`
)

type sequence struct {
	Name  string
	Value int64
}

// backup copies a schema while the services work.
func (w *world) backup(schema string) *backup {
	w.t.Helper()
	b := &backup{schema: schema, tables: map[string][]byte{}, sequences: map[string]int64{}}
	conn, err := pgx.Connect(w.ctx, w.db.AdminURL)
	require.NoError(w.t, err)
	defer conn.Close(w.ctx)
	tx, err := conn.BeginTx(w.ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	require.NoError(w.t, err)
	defer tx.Rollback(w.ctx)
	for _, table := range w.tables(tx, schema) {
		var content bytes.Buffer
		_, err := conn.PgConn().CopyTo(w.ctx, &content, fmt.Sprintf("COPY %s.%s TO STDOUT", schema, table))
		require.NoError(w.t, err)
		b.tables[table] = content.Bytes()
	}
	found, err := tx.Query(w.ctx, sequencesSQL, schema)
	require.NoError(w.t, err)
	all, err := pgx.CollectRows(found, pgx.RowToStructByName[sequence])
	require.NoError(w.t, err)
	for _, s := range all {
		b.sequences[s.Name] = s.Value
	}
	return b
}

func (w *world) tables(tx pgx.Tx, schema string) []string {
	w.t.Helper()
	found, err := tx.Query(w.ctx, tablesSQL, schema, kept)
	require.NoError(w.t, err)
	names, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(w.t, err)
	return names
}

// putBack makes the schema what it was. The services stand still.
func (w *world) putBack(b *backup) {
	w.t.Helper()
	tx, err := w.conn.Begin(w.ctx)
	require.NoError(w.t, err)
	defer tx.Rollback(w.ctx)
	_, err = tx.Exec(w.ctx, "SET LOCAL session_replication_role = replica") // no foreign keys while rows come table by table
	require.NoError(w.t, err)
	for _, table := range w.tables(tx, b.schema) {
		_, err := tx.Exec(w.ctx, fmt.Sprintf("TRUNCATE %s.%s CASCADE", b.schema, table))
		require.NoError(w.t, err)
	}
	for table, content := range b.tables {
		_, err := w.conn.PgConn().CopyFrom(w.ctx, bytes.NewReader(slices.Clone(content)), fmt.Sprintf("COPY %s.%s FROM STDIN", b.schema, table))
		require.NoError(w.t, err, table)
	}
	for name, value := range b.sequences {
		_, err := tx.Exec(w.ctx, "SELECT setval($1::regclass, greatest($2::bigint, 1), $2 > 0)", b.schema+"."+name, value)
		require.NoError(w.t, err)
	}
	require.NoError(w.t, tx.Commit(w.ctx))
}
