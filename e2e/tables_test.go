package e2e

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/pkg/platform/testkit"
)

const columnsSQL = `SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default, generation_expression)
FROM information_schema.columns WHERE table_schema = $1 AND table_name IN ('dead_letters', 'replicas', 'audit_log') ORDER BY 1`

const constraintsSQL = `SELECT conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = $1::regnamespace AND contype <> 'n' AND conrelid::regclass::text IN ('dead_letters', 'replicas', 'audit_log') ORDER BY 1`

// The first migration of a new service makes the tables that many migrations made for the others.
func TestTheTablesOfANewServiceAreThoseOfTheOthers(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testkit.Database(t, migrations.Up).AdminURL)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	lines := func(sql, schema string) []string {
		_, err := conn.Exec(t.Context(), `SET search_path = `+schema)
		require.NoError(t, err)
		rows, err := conn.Query(t.Context(), sql, schema)
		require.NoError(t, err)
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.NotEmpty(t, found)
		return found
	}
	_, err = conn.Exec(t.Context(), `CREATE SCHEMA brandnew; SET search_path = brandnew;`+service.SchemaSQL)
	require.NoError(t, err)
	for _, of := range messages.Services() {
		require.Equal(t, lines(columnsSQL, "brandnew"), lines(columnsSQL, of), of)
		require.Equal(t, lines(constraintsSQL, "brandnew"), lines(constraintsSQL, of), of)
	}
}
