package migrations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
)

func TestCaptureReadsTheTimelineAndNothingElse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	admin := w.as("")
	require.Empty(t, w.lines(admin, `SELECT pubname::text FROM pg_publication`), "only where an operator asks for it")
	require.NoError(t, migrations.SetPassword(t.Context(), w.AdminURL, migrations.Capture, "secret"))
	for range 2 {
		require.NoError(t, migrations.AllowCapture(t.Context(), w.AdminURL, migrations.Capture))
	}
	require.Equal(t, []string{"orders.order_events insert only"}, w.lines(admin, `
		SELECT format('%s.%s %s', t.schemaname, t.tablename,
		  CASE WHEN pubinsert AND NOT (pubupdate OR pubdelete OR pubtruncate OR puballtables) THEN 'insert only' END)
		FROM pg_publication p JOIN pg_publication_tables t USING (pubname) WHERE pubname = $1`, migrations.Publication))

	conn := w.connect(w.with(migrations.Capture, "secret"))
	require.Empty(t, w.lines(conn, `SELECT order_id FROM orders.order_events`))
	require.Equal(t, []string{"true"}, w.lines(conn, `SELECT rolreplication::text FROM pg_roles WHERE rolname = current_user`))
	for _, table := range w.lines(admin, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
		WHERE schemaname IN ('orders', 'payments', 'notifications') AND tablename <> 'order_events'`) {
		w.refused(conn, insufficientPrivilege, `SELECT * FROM `+table)
	}
	for _, statement := range []string{
		`INSERT INTO orders.order_events DEFAULT VALUES`, `UPDATE orders.order_events SET detail = ''`, `DELETE FROM orders.order_events`,
		`TRUNCATE orders.order_events`, `CREATE TABLE orders.mine (a int)`, `CREATE TABLE public.mine (a int)`,
		`CREATE PUBLICATION mine FOR TABLE orders.orders`, `ALTER PUBLICATION pasdetrois_cdc SET (publish = 'insert, delete')`, `SET ROLE orders`,
	} {
		w.refused(conn, insufficientPrivilege, statement)
	}
}
