package migrations_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
)

func TestARoleReachesNoOtherServicesSchema(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	admin := w.as("")
	for _, role := range messages.Services() {
		conn := w.as(role)
		for _, other := range messages.Services() {
			if other == role {
				continue
			}
			tables := w.lines(admin, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = $1`, other)
			require.NotEmpty(t, tables)
			for _, table := range tables {
				for _, statement := range []string{
					`SELECT * FROM %s`, `SELECT count(*) FROM %s`, `INSERT INTO %s DEFAULT VALUES`, `DELETE FROM %s`,
					`TRUNCATE %s`, `DROP TABLE %s`, `ALTER TABLE %s ADD COLUMN mine text`, `GRANT ALL ON %s TO PUBLIC`,
				} {
					w.refused(conn, insufficientPrivilege, fmt.Sprintf(statement, table))
				}
			}
			w.refused(conn, insufficientPrivilege, fmt.Sprintf(`UPDATE %s.dead_letters SET reason = ''`, other))
			w.refused(conn, insufficientPrivilege, fmt.Sprintf(`CREATE TABLE %s.mine (a int)`, other))
			w.refused(conn, insufficientPrivilege, fmt.Sprintf(`DROP SCHEMA %s CASCADE`, other))
			w.refused(conn, insufficientPrivilege, fmt.Sprintf(`SET ROLE %s`, other))
			w.refused(conn, insufficientPrivilege, fmt.Sprintf(`GRANT %s TO %s`, other, role))
		}
	}
}

func TestARoleMakesNothingOutsideItsSchema(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	for _, role := range messages.Services() {
		conn := w.as(role)
		for _, statement := range []string{
			`CREATE TABLE public.mine (a int)`, `CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
			`CREATE SCHEMA mine`, `CREATE ROLE mine`, `CREATE DATABASE mine`, `CREATE EXTENSION dblink`,
			`COPY (SELECT 1) TO PROGRAM 'true'`, `SET ROLE postgres`,
		} {
			w.refused(conn, insufficientPrivilege, statement)
		}
	}
}

func TestARoleThatExistsKeepsItsPassword(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	admin := w.as("")
	const passwords = `SELECT rolname || rolpassword FROM pg_authid WHERE rolname IN ('orders', 'payments', 'notifications') ORDER BY 1`
	before := w.lines(admin, passwords)
	require.Len(t, before, 3)
	w.up()
	require.Equal(t, before, w.lines(admin, passwords))
}

// Behind a pooler a session has nothing but its role's defaults.
func TestRolesHaveTheSettingsThatTheirStatementsNeed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	w.up()
	for _, service := range messages.Services() {
		conn := w.as(service)
		for _, s := range pgdb.RoleSettings(service) {
			require.Equal(t, []string{"true"}, w.lines(conn, `SELECT (current_setting($1) = set_config($1, $2, true))::text`, s.Name, s.Value), s.Name)
		}
	}
	require.NotEqual(t, []string{"off"}, w.lines(w.as(""), `SHOW enable_seqscan`))
}

func TestTheAuditorReadsEverythingAndWritesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	conn := w.connect(w.with(migrations.Auditor, migrations.Auditor))
	for _, table := range []string{"orders.orders", "orders.order_lines", "orders.order_events", "orders.inventory", "orders.outbox", "orders.outbox_lease",
		"orders.dead_letters", "orders.held_messages", "payments.payments", "payments.provider_ledger", "payments.dead_letters",
		"notifications.notifications", "notifications.dead_letters"} {
		require.Len(t, w.lines(conn, `SELECT count(*)::text FROM `+table), 1)
		for _, statement := range []string{`INSERT INTO %s DEFAULT VALUES`, `DELETE FROM %s`, `TRUNCATE %s`, `DROP TABLE %s`} {
			w.refused(conn, insufficientPrivilege, fmt.Sprintf(statement, table))
		}
	}
	w.refused(conn, insufficientPrivilege, `SELECT * FROM orders.idempotency_keys`) // answers to clients: none of its business
	w.refused(conn, insufficientPrivilege, `CREATE TABLE orders.mine (a int)`)
	views := w.lines(conn, `SELECT schemaname || '.' || viewname FROM pg_views WHERE viewname ~ '^(audit|replay)_' ORDER BY 1`)
	require.Len(t, views, 21)
	for _, view := range views {
		require.Len(t, w.lines(conn, `SELECT count(*)::text FROM `+view), 1)
		w.refused(conn, insufficientPrivilege, `DROP VIEW `+view)
	}
}
