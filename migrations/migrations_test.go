package migrations_test

import (
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/testkit"
)

// catalogSQL tells everything about the services' schemas that a statement could notice, one line each.
const catalogSQL = `
WITH ours AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname IN ('orders', 'payments', 'notifications')),
     things AS (SELECT c.*, nspname FROM pg_class c JOIN ours ON ours.oid = relnamespace)
SELECT format('schema %s of %s %s', nspname, nspowner::regrole, nspacl) FROM ours
UNION ALL
SELECT format('%s %s.%s of %s %s %s', relkind, nspname, relname, relowner::regrole, reloptions, relacl) FROM things
UNION ALL
SELECT format('column %s.%s %s %s %s %s %s', nspname, relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
              pg_get_expr(adbin, adrelid))
FROM things JOIN pg_attribute a ON attrelid = things.oid LEFT JOIN pg_attrdef ON adrelid = things.oid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped AND relkind = 'r'
UNION ALL
SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(c.oid))
FROM pg_constraint c JOIN ours ON ours.oid = connamespace
UNION ALL
SELECT format('index %s', indexdef) FROM pg_indexes JOIN ours ON nspname = schemaname
UNION ALL
SELECT format('routine %s.%s', nspname, proname) FROM pg_proc JOIN ours ON ours.oid = pronamespace
UNION ALL
SELECT format('type %s.%s', nspname, typname) FROM pg_type JOIN ours ON ours.oid = typnamespace
UNION ALL
SELECT format('migration %s', v) FROM (
  SELECT 'orders ' || version_id AS v FROM orders.goose_db_version
  UNION ALL SELECT 'payments ' || version_id FROM payments.goose_db_version
  UNION ALL SELECT 'notifications ' || version_id FROM notifications.goose_db_version) AS versions
UNION ALL
SELECT format('stock %s', inventory) FROM orders.inventory
ORDER BY 1`

const tablesSQL = `
SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('orders', 'payments', 'notifications', 'public') ORDER BY 1`

func TestUpAgainChangesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	admin := w.as("")
	first := w.lines(admin, catalogSQL)
	require.Contains(t, first, "schema orders of orders_owner {orders_owner=UC/orders_owner,orders=U/orders_owner,auditor=U/orders_owner}")
	require.Contains(t, first, "migration notifications 1")

	w.up()
	require.Equal(t, first, w.lines(admin, catalogSQL))
}

func TestUpAgainLeavesTheStockAsItIsByNow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	orders := w.as("orders")
	_, err := orders.Exec(t.Context(), `UPDATE orders.inventory SET available = 0, sold = 1 WHERE sku = 'turntable-limited'`)
	require.NoError(t, err)
	w.up()
	require.Equal(t, []string{"0 1 1"},
		w.lines(orders, `SELECT concat_ws(' ', available, sold, stocked) FROM orders.inventory WHERE sku = 'turntable-limited'`))
}

func TestDownTakesEverythingBackAndUpMakesTheSameAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	admin := w.as("")
	before := w.lines(admin, catalogSQL)

	for _, service := range messages.Services() {
		require.NoError(t, migrations.Down(t.Context(), w.AdminURL, service))
	}
	require.Equal(t, []string{"notifications.goose_db_version", "orders.goose_db_version", "payments.goose_db_version"},
		w.lines(admin, tablesSQL), "only goose's own notes stay")

	w.up()
	require.Equal(t, before, w.lines(admin, catalogSQL))
}

func TestDownTouchesNobodyElse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	require.NoError(t, migrations.Down(t.Context(), w.AdminURL, "payments"))
	require.Equal(t, []string{
		"notifications.audit_log", "notifications.dead_letters", "notifications.erased_letters", "notifications.erasures", "notifications.goose_db_version", "notifications.mailboxes", "notifications.notifications",
		"notifications.rebuild_lease", "notifications.rebuild_progress", "notifications.rebuild_records", "notifications.replicas",
		"orders.audit_log", "orders.dead_letters", "orders.erased_letters", "orders.erasures", "orders.goose_db_version", "orders.held_messages", "orders.idempotency_keys",
		"orders.inventory", "orders.order_events", "orders.order_lines", "orders.orders", "orders.outbox", "orders.outbox_lease",
		"orders.rebuild_lease", "orders.rebuild_progress", "orders.rebuild_records", "orders.removed_orders", "orders.removed_pieces", "orders.replicas",
		"payments.goose_db_version",
	}, w.lines(w.as(""), tablesSQL))
}

func TestServicesMayHaveADatabaseEach(t *testing.T) {
	t.Parallel()
	for _, service := range messages.Services() {
		w := setup(t)
		require.NoError(t, migrations.UpService(t.Context(), w.AdminURL, service, migrations.RolesOf(service)))
		require.Equal(t, []string{service}, w.lines(w.as(service),
			`SELECT DISTINCT schemaname::text FROM pg_tables WHERE schemaname IN ('orders', 'payments', 'notifications', 'public')`))
	}
}

func TestUpWaitsForAnotherThatMakesTheSameSchemaJustNow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up() // makes the role
	other, admin := w.as(""), w.as("")
	_, err := other.Exec(t.Context(), `DROP SCHEMA payments CASCADE`)
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), migrations.BootstrapLock)
	require.NoError(t, err)
	tx, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `CREATE SCHEMA payments`)
	require.NoError(t, err)

	result := make(chan error, 1)
	go func() {
		result <- migrations.UpService(t.Context(), w.AdminURL, "payments", migrations.RolesOf("payments"))
	}()
	testkit.Eventually(t, func() error {
		if len(w.lines(admin, `SELECT 'waits' FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)) == 0 {
			return errors.New("nobody waits")
		}
		return nil
	})
	_, err = tx.Exec(t.Context(), `ALTER SCHEMA payments OWNER TO payments`)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	_, err = other.Exec(t.Context(), `SELECT pg_advisory_unlock_all()`)
	require.NoError(t, err)
	require.NoError(t, <-result)
}

// While one caller's migration grants on the schema, the next one is already on its way to it.
func TestUpDoesNotTouchASchemaThatAMigrationOfAnotherChangesJustNow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	other, admin := w.as(""), w.as("")
	tx, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `GRANT USAGE ON SCHEMA payments TO auditor`)
	require.NoError(t, err)

	result := make(chan error, 1)
	go func() {
		result <- migrations.UpService(t.Context(), w.AdminURL, "payments", migrations.RolesOf("payments"))
	}()
	testkit.Eventually(t, func() error {
		if len(result) == 0 && len(w.lines(admin, `SELECT 'waits' FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)) == 0 {
			return errors.New("neither done nor waiting")
		}
		return nil
	})
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-result)
}

// ownServer is a server on which nobody has made a role before.
func ownServer(t *testing.T) *embedded.Postgres {
	t.Helper()
	server, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

// Roles belong to the whole server: another database's migration, or an operator, may change the same one.
func TestSetPasswordWaitsForAnotherThatChangesTheRoleJustNow(t *testing.T) {
	t.Parallel()
	server := ownServer(t)
	w := &world{t: t}
	adminURL := server.AdminURL("postgres")
	other, admin := w.connect(adminURL), w.connect(adminURL)
	require.NoError(t, migrations.SetPassword(t.Context(), adminURL, "payments", "before"))
	tx, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `ALTER ROLE payments PASSWORD 'meanwhile'`)
	require.NoError(t, err)
	const verifierSQL = `SELECT rolpassword FROM pg_authid WHERE rolname = 'payments'`
	meanwhile := w.lines(tx.Conn(), verifierSQL)

	result := make(chan error, 1)
	go func() { result <- migrations.SetPassword(t.Context(), adminURL, "payments", "after") }()
	testkit.Eventually(t, func() error {
		if len(w.lines(admin, `SELECT 'waits' FROM pg_stat_activity WHERE wait_event_type = 'Lock'`)) == 0 {
			return errors.New("nobody waits")
		}
		return nil
	})
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-result)
	require.NotEqual(t, meanwhile, w.lines(admin, verifierSQL))
}

// A server of its own, because roles belong to the whole server: here nobody has made them before.
func TestSeveralMigrateAnEmptyServerAtOnce(t *testing.T) {
	t.Parallel()
	server := ownServer(t)
	w := &world{t: t}
	admin := w.connect(server.AdminURL("postgres"))
	_, err := admin.Exec(t.Context(), `CREATE DATABASE other`)
	require.NoError(t, err)

	const callers = 4 // of each database
	results := make(chan error, 2*callers)
	start := make(chan struct{})
	var all sync.WaitGroup
	for range callers {
		for _, database := range []string{"postgres", "other"} {
			all.Go(func() {
				<-start
				results <- migrations.Up(t.Context(), server.AdminURL(database))
			})
		}
	}
	close(start)
	all.Wait()
	close(results)
	for err := range results {
		require.NoError(t, err)
	}

	files, err := filepath.Glob("*/*.sql")
	require.NoError(t, err)
	for _, database := range []string{"postgres", "other"} {
		conn := w.connect(server.AdminURL(database))
		require.Equal(t, []string{"3", strconv.Itoa(len(files)), "8"}, w.lines(conn, `
			SELECT count(*)::text FROM pg_namespace WHERE nspname IN ('orders', 'payments', 'notifications')
			UNION ALL SELECT count(*)::text FROM (
				SELECT FROM orders.goose_db_version WHERE version_id > 0 UNION ALL
				SELECT FROM payments.goose_db_version WHERE version_id > 0 UNION ALL
				SELECT FROM notifications.goose_db_version WHERE version_id > 0) AS applied
			UNION ALL SELECT count(*)::text FROM orders.inventory`))
	}
	require.Equal(t, []string{"notifications f f f t", "notifications_owner f f f f", "orders f f f t", "orders_owner f f f f",
		"payments f f f t", "payments_owner f f f f"}, w.lines(admin, `
		SELECT concat_ws(' ', rolname, rolsuper, rolcreatedb, rolcreaterole, rolcanlogin) FROM pg_roles
		WHERE rolname ~ '^(orders|payments|notifications)' ORDER BY 1`))
}

// Where Postgres is somebody else's to run there is no superuser to be had.
func TestARoleThatMayMakeRolesAndSchemasIsEnough(t *testing.T) {
	t.Parallel()
	server := ownServer(t)
	w := &world{t: t, DB: &testkit.DB{AdminURL: server.AdminURL("managed")}}
	for _, statement := range []string{`CREATE ROLE manager LOGIN CREATEROLE PASSWORD 'manager'`, `CREATE DATABASE managed OWNER manager`} {
		_, err := w.connect(server.AdminURL("postgres")).Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	for range 2 {
		require.NoError(t, migrations.Up(t.Context(), w.URL("manager")))
	}
	require.Equal(t, []string{"8"}, w.lines(w.as("orders"), `SELECT count(*)::text FROM orders.inventory`))
	w.refused(w.as("payments"), insufficientPrivilege, `SELECT FROM orders.inventory`)
}

func TestAFailureSaysWhatWasTried(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.ErrorContains(t, migrations.Up(t.Context(), "postgres://%zz"), "database URL: ")
	require.ErrorContains(t, migrations.Up(t.Context(), w.with("nobody_at_all", "x")), "connect to migrate: ")
	w.up()
	require.ErrorContains(t, migrations.Up(t.Context(), w.URL("orders")), "make role and schema orders: ")

	_, err := w.as("").Exec(t.Context(), `DROP TABLE payments.goose_db_version`)
	require.NoError(t, err)
	err = migrations.Up(t.Context(), w.AdminURL)
	require.ErrorContains(t, err, "migrate payments: ")
	require.ErrorContains(t, err, "already exists")
}
