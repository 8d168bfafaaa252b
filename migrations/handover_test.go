package migrations_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

// asBefore gives a service's schema to its runtime role, as earlier versions left it.
func (w *world) asBefore(service string) {
	w.t.Helper()
	for _, statement := range []string{`REASSIGN OWNED BY %[1]s_owner TO %[1]s`, `DROP OWNED BY %[1]s_owner`,
		`GRANT EXECUTE ON ALL ROUTINES IN SCHEMA %[1]s TO PUBLIC`, `REVOKE CONNECT ON DATABASE "%[2]s" FROM %[1]s`,
		`GRANT CONNECT, TEMPORARY ON DATABASE "%[2]s" TO PUBLIC`} {
		admin := w.as("")
		_, err := admin.Exec(w.t.Context(), strings.NewReplacer("%[1]s", service, "%[2]s", admin.Config().Database).Replace(statement))
		require.NoError(w.t, err)
	}
}

// After the hand-over everything is as in a new installation.
func TestAnInstallationOfAnEarlierVersionIsHandedOver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	admin := w.as("")
	want := w.lines(admin, catalogSQL)
	for _, service := range messages.Services() {
		w.asBefore(service)
	}
	require.NotEqual(t, want, w.lines(admin, catalogSQL))
	_, err := w.as("orders").Exec(t.Context(), `BEGIN; DROP TABLE orders.orders CASCADE; ROLLBACK`)
	require.NoError(t, err, "the service could do that")

	var all sync.WaitGroup
	results := make(chan error, 4)
	for range cap(results) {
		all.Go(func() { results <- migrations.Up(t.Context(), w.AdminURL) })
	}
	all.Wait()
	close(results)
	for err := range results {
		require.NoError(t, err)
	}
	require.ElementsMatch(t, normal(want), normal(w.lines(admin, catalogSQL)))
}

// The default rights of a role are one row for all: of two migrations that add it at once, the second one asks again.
func TestTwoMigrationsMayAddTheSameDefaultRights(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	const defaults = `ALTER DEFAULT PRIVILEGES FOR ROLE orders_owner IN SCHEMA orders `
	first, admin := w.as(""), w.as("")
	_, err := admin.Exec(t.Context(), defaults+`REVOKE ALL ON SEQUENCES FROM orders`)
	require.NoError(t, err)
	_, err = first.Exec(t.Context(), `BEGIN; `+defaults+`GRANT USAGE, SELECT ON SEQUENCES TO orders`)
	require.NoError(t, err)
	second := make(chan error, 1)
	go func() {
		second <- migrations.UpService(t.Context(), w.AdminURL, "orders", migrations.RolesOf("orders"))
	}()
	testkit.Eventually(t, func() error {
		const waits = `SELECT count(*) FROM pg_locks WHERE NOT granted AND $1::integer = ANY (pg_blocking_pids(pid))`
		var n int
		if err := admin.QueryRow(t.Context(), waits, first.PgConn().PID()).Scan(&n); err != nil || n > 0 {
			return err
		}
		return errors.New("the second migration does not wait yet")
	})
	_, err = first.Exec(t.Context(), `COMMIT`)
	require.NoError(t, err)
	require.NoError(t, <-second)
}

// Services of the earlier version are at work meanwhile: none of their statements is refused.
func TestAServiceAtWorkLosesNoRightWhileItsSchemaIsHandedOver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	const works = `BEGIN;
INSERT INTO orders.outbox (topic, value, headers) VALUES ('t', '', '[]');
INSERT INTO orders.orders (order_id, user_id, total_minor, currency, status, decided_by, version, created_at, updated_at, status_at)
  VALUES (gen_random_uuid(), 'u', 1, 'USD', 'pending', 'http', 1, now(), now(), now());
UPDATE orders.inventory SET version = version + 1 WHERE sku = 'record-brush';
SELECT setval('orders.outbox_id_seq', (SELECT last_value FROM orders.outbox_id_seq));
SELECT orders.must_change(1, 1, 'row');
DELETE FROM orders.outbox WHERE id IN (SELECT id FROM orders.outbox ORDER BY id LIMIT 1);
COMMIT`
	for range 5 {
		w.asBefore("orders")
		ctx, cancel := context.WithCancel(t.Context())
		begun, ended := make(chan struct{}), make(chan error, 1)
		conn := w.connect(w.URL("orders"))
		go func() {
			for n := 0; ; n++ {
				if _, err := conn.Exec(t.Context(), works); err != nil || ctx.Err() != nil {
					ended <- err
					return
				}
				if n == 0 {
					close(begun)
				}
			}
		}()
		select {
		case <-begun:
		case err := <-ended:
			cancel()
			require.NoError(t, err, "the service's statements are refused before anything changes")
		}
		err := migrations.UpService(t.Context(), w.AdminURL, "orders", migrations.RolesOf("orders"))
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	}
}

// What a migration took from the runtime role, a hand-over does not give back.
func TestAHandOverGivesNoMoreThanTheMigrationsDo(t *testing.T) {
	t.Parallel()
	w := setup(t)
	files := migrated{"00001_first.sql": `-- +goose Up
CREATE TABLE log (note text);
REVOKE UPDATE, DELETE ON log FROM runtime;
`}
	up := func() { require.NoError(t, migrations.UpFrom(t.Context(), w.AdminURL, "strict", files.fs())) }
	up()
	w.asBefore("strict")
	up()
	require.Equal(t, insufficientPrivilege, attempt(t, w.as("strict"), `DELETE FROM strict.log`))

	_, err := w.as("").Exec(t.Context(), `ALTER TABLE strict.log OWNER TO strict`) // an interrupted one
	require.NoError(t, err)
	up()
	conn := w.as("strict")
	require.Equal(t, insufficientPrivilege, attempt(t, conn, `DELETE FROM strict.log`))
	require.Equal(t, insufficientPrivilege, attempt(t, conn, `DELETE FROM strict.goose_db_version`))
	require.Empty(t, attempt(t, conn, `INSERT INTO strict.log VALUES ('a')`))
}

// A restore without privileges leaves a service without any.
func TestRightsThatARestoreLeftOutAreGrantedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	admin := w.as("")
	want := w.lines(admin, catalogSQL)
	_, err := admin.Exec(t.Context(), `REVOKE ALL ON ALL TABLES IN SCHEMA orders FROM orders, auditor; REVOKE ALL ON ALL SEQUENCES IN SCHEMA orders FROM orders;
		REVOKE ALL ON SCHEMA orders FROM orders, auditor; REVOKE ALL ON ALL ROUTINES IN SCHEMA orders FROM orders`)
	require.NoError(t, err)
	w.up()
	require.ElementsMatch(t, normal(want), normal(w.lines(admin, catalogSQL)))
}

// normal sorts the rights in each line: their order is that of the grants.
func normal(lines []string) []string {
	var all []string
	for _, line := range lines {
		before, rights, found := strings.Cut(line, "{")
		if !found {
			all = append(all, line)
			continue
		}
		parts := strings.Split(strings.TrimRight(rights, "}"), ",")
		all = append(all, before+strings.Join(slices.Sorted(slices.Values(parts)), ","))
	}
	return all
}

func TestARuntimeRoleWithTheOwnersRightsIsRefused(t *testing.T) {
	t.Parallel()
	w := owned(t)
	w.up()
	_, err := w.as("").Exec(t.Context(), `GRANT orders_owner TO orders`)
	require.NoError(t, err)
	var member *migrations.MemberError
	require.ErrorAs(t, migrations.Up(t.Context(), w.AdminURL), &member)
	require.Equal(t, `run REVOKE "orders_owner" FROM "orders"`, member.Hint())

	long := migrations.Roles{Runtime: strings.Repeat("o", migrations.LongestRuntime+1), Auditor: migrations.Auditor}
	var name *migrations.LongNameError
	require.ErrorAs(t, migrations.UpService(t.Context(), owned(t).AdminURL, "orders", long), &name)
}
