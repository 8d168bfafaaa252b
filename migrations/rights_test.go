package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
)

// tablesOfSQL returns each table of a schema with its first column.
const tablesOfSQL = `SELECT c.relname || ' ' || quote_ident(attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum = 1
WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`

// exceptions are the tables on which a service's role may do more, or less, than read and write rows: the verbs that it may use.
var exceptions = map[string][]string{
	"goose_db_version": {"SELECT"},
	"removed_orders":   {"SELECT", "INSERT"},
	"removed_pieces":   {"SELECT", "INSERT", "UPDATE"},
	"removed_payments": {"SELECT", "INSERT"},
	"audit_log":        {"SELECT"}, // and INSERT of some columns: see below
	"rebuild_records":  {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"},
	"rebuild_progress": {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"},
}

// Each verb on each table, as the service logs in.
func TestAServiceReadsAndWritesRowsAndNothingElse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	verbs := map[string]string{
		"SELECT": `SELECT FROM %[1]s.%[2]s`, "INSERT": `INSERT INTO %[1]s.%[2]s (%[3]s) OVERRIDING SYSTEM VALUE SELECT %[3]s FROM %[1]s.%[2]s WHERE false`,
		"UPDATE": `UPDATE %[1]s.%[2]s SET %[3]s = DEFAULT WHERE false`, "DELETE": `DELETE FROM %[1]s.%[2]s WHERE false`,
		"TRUNCATE": `TRUNCATE %[1]s.%[2]s CASCADE`, "REFERENCES": `CREATE TABLE %[1]s.mine (a text REFERENCES %[1]s.%[2]s)`,
		"TRIGGER": `CREATE TRIGGER mine AFTER INSERT ON %[1]s.%[2]s EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
		"DROP":    `DROP TABLE %[1]s.%[2]s CASCADE`, "ALTER": `ALTER TABLE %[1]s.%[2]s ADD COLUMN mine text`,
		"RENAME": `ALTER TABLE %[1]s.%[2]s RENAME TO mine`, "OWN": `ALTER TABLE %[1]s.%[2]s OWNER TO %[1]s`,
		"INDEX": `CREATE INDEX ON %[1]s.%[2]s (%[3]s)`, "RULE": `CREATE RULE mine AS ON INSERT TO %[1]s.%[2]s DO INSTEAD NOTHING`,
		"DISABLE": `ALTER TABLE %[1]s.%[2]s DISABLE TRIGGER ALL`,
	}
	for _, service := range messages.Services() {
		conn := w.as(service)
		tables := w.lines(w.as(""), tablesOfSQL, service)
		require.NotEmpty(t, tables)
		for _, line := range tables {
			var table, column string
			_, err := fmt.Sscan(line, &table, &column)
			require.NoError(t, err)
			may, special := exceptions[table]
			if !special {
				may = []string{"SELECT", "INSERT", "UPDATE", "DELETE"}
			}
			for verb, statement := range verbs {
				statement = fmt.Sprintf(statement, service, table, column)
				want := insufficientPrivilege
				if slices.Contains(may, verb) {
					want = ""
				}
				require.Equal(t, want, attempt(t, conn, statement), statement)
			}
		}
		for _, statement := range []string{
			`CREATE TABLE SERVICE.mine (a int)`, `CREATE VIEW SERVICE.mine AS SELECT 1`, `CREATE SEQUENCE SERVICE.mine`,
			`CREATE FUNCTION SERVICE.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`, `CREATE TYPE SERVICE.mine AS ENUM ('a')`,
			`CREATE TEMP TABLE mine (a int)`, `CREATE SCHEMA mine`, `DROP SCHEMA SERVICE CASCADE`, `ALTER SCHEMA SERVICE RENAME TO mine`,
			`SET ROLE SERVICE_owner`, `GRANT SERVICE_owner TO SERVICE`,
			`ALTER DEFAULT PRIVILEGES FOR ROLE SERVICE_owner GRANT ALL ON TABLES TO SERVICE`, `ALTER SEQUENCE SERVICE.dead_letters_id_seq RESTART`,
			`SELECT setval('SERVICE.dead_letters_id_seq', 1)`, `DROP VIEW SERVICE.audit_dead_letters`,
			`COPY SERVICE.dead_letters TO PROGRAM 'true'`, `COPY SERVICE.dead_letters FROM '/etc/hostname'`,
			`ALTER ROLE SERVICE_owner LOGIN`, `REASSIGN OWNED BY SERVICE_owner TO SERVICE`, `DROP OWNED BY SERVICE_owner`,
		} {
			statement = strings.ReplaceAll(statement, "SERVICE", service)
			require.Equal(t, insufficientPrivilege, attempt(t, conn, statement), statement)
		}
		require.Empty(t, w.lines(conn, `SELECT relname::text FROM pg_class WHERE relowner = $1::text::regrole
			UNION ALL SELECT proname::text FROM pg_proc WHERE proowner = $1::text::regrole
			UNION ALL SELECT nspname::text FROM pg_namespace WHERE nspowner = $1::text::regrole`, service))
	}
}

// Whoever has taken over a service can neither remove what the audit log has, nor write entries of another time.
func TestAServiceCannotChangeItsAuditLog(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	for _, service := range messages.Services() {
		conn := w.as(service)
		_, err := conn.Exec(t.Context(), `INSERT INTO `+service+`.audit_log (actor, operation, subject, details, address) VALUES ('anyone', 'thing.change', '1', '{}', '')`)
		require.NoError(t, err)
		for _, statement := range []string{
			`INSERT INTO SERVICE.audit_log (at, actor, operation, subject) VALUES ('epoch', 'anyone', '', '')`,
			`INSERT INTO SERVICE.audit_log (id, actor, operation, subject) OVERRIDING SYSTEM VALUE VALUES (9, 'anyone', '', '')`,
			`UPDATE SERVICE.audit_log SET actor = 'user:ada'`, `UPDATE SERVICE.audit_log SET at = 'epoch'`,
			`DELETE FROM SERVICE.audit_log`, `TRUNCATE SERVICE.audit_log`, `TRUNCATE SERVICE.audit_log, SERVICE.rebuild_records`,
			`MERGE INTO SERVICE.audit_log a USING (SELECT) s ON true WHEN MATCHED THEN DELETE`,
			`SELECT FROM SERVICE.audit_log FOR UPDATE`, `LOCK TABLE SERVICE.audit_log IN ACCESS EXCLUSIVE MODE`, `DROP TABLE SERVICE.audit_log`,
			`ALTER TABLE SERVICE.audit_log DISABLE TRIGGER ALL`, `CREATE RULE mine AS ON INSERT TO SERVICE.audit_log DO INSTEAD NOTHING`,
			`INSERT INTO SERVICE.audit_log (actor, operation, subject) VALUES ('', '', '') ON CONFLICT (id) DO UPDATE SET actor = 'user:ada'`,
			`CREATE OR REPLACE FUNCTION SERVICE.prune_audit_log(interval, integer) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'`,
			`ALTER SEQUENCE SERVICE.audit_log_id_seq RESTART`, `SELECT setval('SERVICE.audit_log_id_seq', 1)`,
		} {
			statement = strings.ReplaceAll(statement, "SERVICE", service)
			require.Equal(t, insufficientPrivilege, attempt(t, conn, statement), statement)
		}
		require.Equal(t, []string{"0"}, w.lines(conn, `SELECT `+service+`.prune_audit_log('-100 years', 1000)::text`), "entries are kept for 30 days")
		require.Equal(t, []string{"0"}, w.lines(conn, `SELECT `+service+`.pseudonymise_audit_log('ada', 'bob')::text`))
		require.Equal(t, []string{"anyone thing.change"}, w.lines(conn, `SELECT actor || ' ' || operation FROM `+service+`.audit_log`))
		other := w.as(map[bool]string{true: "payments", false: "orders"}[service == "orders"])
		require.Equal(t, insufficientPrivilege, attempt(t, other, `SELECT FROM `+service+`.audit_log`))
	}
}

// attempt runs a statement in a transaction that is rolled back, and returns the SQLSTATE, "" when it worked.
func attempt(t *testing.T, conn *pgx.Conn, statement string) string {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.Background())) }()
	_, err = tx.Exec(t.Context(), statement)
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	require.NoError(t, err)
	return ""
}

// migrated are migrations by the names of their files.
type migrated map[string]string

func (m migrated) fs() fs.FS {
	files := fstest.MapFS{}
	for name, text := range m {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

// A table of a later migration may be used at once, and a migration that gives less says so.
func TestATableOfALaterMigrationMayBeUsedAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	files := migrated{"00001_first.sql": `-- +goose Up
CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
CREATE TABLE gone (a int);
REVOKE DELETE ON gone FROM runtime;
`}
	require.NoError(t, migrations.UpFrom(t.Context(), w.AdminURL, "later", files.fs()))
	files["00002_second.sql"] = `-- +goose Up
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
REVOKE UPDATE, DELETE ON notes FROM runtime;
DROP TABLE gone;
CREATE VIEW open_notes AS SELECT * FROM notes;
-- +goose StatementBegin
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
-- +goose StatementEnd
`
	for range 2 {
		require.NoError(t, migrations.UpFrom(t.Context(), w.AdminURL, "later", files.fs()))
		conn := w.as("later")
		for statement, allowed := range map[string]bool{
			`INSERT INTO later.things (note) VALUES ('a')`: true, `UPDATE later.things SET note = ''`: true, `DELETE FROM later.things`: true,
			`SELECT last_value FROM later.things_id_seq`: true, `SELECT setval('later.things_id_seq', 9)`: false, `TRUNCATE later.things`: false,
			`INSERT INTO later.notes (note) VALUES ('a')`: true, `SELECT FROM later.notes`: true, `UPDATE later.notes SET note = ''`: false,
			`DELETE FROM later.notes`: false, `SELECT FROM later.open_notes`: true, `DELETE FROM later.open_notes`: false,
			`UPDATE later.open_notes SET note = ''`: false, `SELECT later.twice(2)`: true, `DELETE FROM later.goose_db_version`: false,
		} {
			require.Equal(t, !allowed, attempt(t, conn, statement) == insufficientPrivilege, statement)
		}
	}
}
