package migrations_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
)

func usualRoles() (all []migrations.Roles) {
	for _, service := range messages.Services() {
		all = append(all, migrations.RolesOf(service))
	}
	return all
}

// Another application has a schema in the same database, and one has a database of its own on the server.
func TestOnlyRolesThatUseTheDatabaseMayConnect(t *testing.T) {
	t.Parallel()
	w := owned(t)
	admin := w.as("")
	for _, statement := range []string{
		`CREATE ROLE neighbour LOGIN PASSWORD 'neighbour'`, `CREATE SCHEMA neighbour AUTHORIZATION neighbour`,
		`CREATE ROLE guests`, `CREATE ROLE guest LOGIN PASSWORD 'guest' IN ROLE guests`, `CREATE TABLE shared AS SELECT 1 AS n`, `GRANT SELECT ON shared TO guests`,
		`CREATE ROLE watcher LOGIN PASSWORD 'watcher' IN ROLE pg_monitor`, `CREATE ROLE stranger LOGIN PASSWORD 'stranger'`,
		`CREATE ROLE elsewhere LOGIN PASSWORD 'elsewhere'`, `CREATE DATABASE elsewhere OWNER elsewhere`,
	} {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	var roles []migrations.Roles
	for _, service := range messages.Services() {
		require.NoError(t, migrations.UpService(t.Context(), w.AdminURL, service, migrations.RolesOf(service)))
		roles = append(roles, migrations.RolesOf(service))
	}
	door, err := migrations.CloseDatabase(t.Context(), w.AdminURL, roles...)
	require.NoError(t, err)
	require.Equal(t, []string{"guests", "neighbour", "watcher"}, door.Kept)
	require.Equal(t, []string{"elsewhere", "stranger"}, door.Lost)
	require.False(t, door.Open)
	require.Empty(t, door.Owns)
	for range 2 {
		for role, enters := range map[string]bool{"orders": true, "payments": true, "notifications": true, "auditor": true,
			"neighbour": true, "guest": true, "watcher": true, "stranger": false, "elsewhere": false} {
			conn, err := pgx.Connect(t.Context(), w.with(role, role))
			if !enters {
				require.ErrorContains(t, err, "permission denied for database", role)
				continue
			}
			require.NoError(t, err, role)
			want := ""
			if role == "orders" || role == "payments" || role == "notifications" || role == "auditor" {
				want = insufficientPrivilege
			}
			require.Equal(t, want, attempt(t, conn, `CREATE TEMP TABLE mine (n int)`), role)
			require.NoError(t, conn.Close(t.Context()))
		}
		w.up() // again changes nothing
	}
	_, err = w.connect(w.with("neighbour", "neighbour")).Exec(t.Context(), `CREATE TABLE neighbour.things (n int); INSERT INTO neighbour.things VALUES (1)`)
	require.NoError(t, err)
	door, err = migrations.CloseDatabase(t.Context(), w.AdminURL, roles...)
	require.NoError(t, err)
	require.Empty(t, door.Kept)
	require.Empty(t, door.Lost)
}

// An admin that does not own the database may not close it: the services work as before.
func TestADatabaseOfAnotherOwnerStaysOpen(t *testing.T) {
	t.Parallel()
	w := owned(t)
	admin := w.as("")
	for _, statement := range []string{`CREATE ROLE manager LOGIN CREATEROLE PASSWORD 'manager'`, `GRANT CREATE ON DATABASE postgres TO manager`} {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	manager := w.with("manager", "manager")
	for range 2 {
		require.NoError(t, migrations.Up(t.Context(), manager))
		door, err := migrations.CloseDatabase(t.Context(), manager, usualRoles()...)
		require.NoError(t, err)
		require.True(t, door.Open)
		require.Empty(t, door.Lost)
	}
	require.Empty(t, attempt(t, w.as("orders"), `SELECT FROM orders.orders`))
	require.NoError(t, migrations.Up(t.Context(), w.AdminURL), "the owner closes it later")
	door, err := migrations.CloseDatabase(t.Context(), manager, usualRoles()...)
	require.NoError(t, err)
	require.False(t, door.Open)
	require.Empty(t, attempt(t, w.as("orders"), `SELECT FROM orders.orders`))
}

// An admin that is no superuser made the installation by an earlier version: it was a member of the services' roles.
func TestAnAdminThatIsNoSuperuserHandsOver(t *testing.T) {
	t.Parallel()
	w := owned(t)
	admin := w.as("")
	for _, statement := range []string{`CREATE ROLE manager LOGIN CREATEROLE PASSWORD 'manager'`, `ALTER DATABASE postgres OWNER TO manager`} {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	w.AdminURL = w.with("manager", "manager")
	w.up()
	want := w.lines(admin, catalogSQL)
	for _, service := range messages.Services() {
		for _, statement := range []string{`REASSIGN OWNED BY %[1]s_owner TO %[1]s`, `DROP OWNED BY %[1]s_owner`, `DROP ROLE %[1]s_owner`, `GRANT %[1]s TO manager`,
			`GRANT EXECUTE ON ALL ROUTINES IN SCHEMA %[1]s TO PUBLIC`} {
			_, err := admin.Exec(t.Context(), fmt.Sprintf(statement, service))
			require.NoError(t, err, statement)
		}
	}
	for range 2 {
		w.up()
		require.ElementsMatch(t, normal(want), normal(w.lines(admin, catalogSQL)))
	}
}

// Roles that an administrator made by hand: the one that migrates may make none.
func TestAnAdminWithoutTheOwnerSaysWhatAnAdministratorHasToDo(t *testing.T) {
	t.Parallel()
	w := owned(t)
	for _, statement := range []string{`CREATE ROLE mover LOGIN PASSWORD 'mover'`, `GRANT CREATE ON DATABASE postgres TO mover`,
		`CREATE ROLE orders LOGIN PASSWORD 'orders'; CREATE ROLE auditor LOGIN PASSWORD 'auditor'; GRANT orders TO mover`} {
		_, err := w.as("").Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	up := func() error {
		return migrations.UpService(t.Context(), w.with("mover", "mover"), "orders", migrations.RolesOf("orders"))
	}
	var rights *migrations.OwnerRightsError
	require.ErrorAs(t, up(), &rights)
	require.Equal(t, `let an administrator run CREATE ROLE "orders_owner" NOLOGIN (unless it exists) and GRANT "orders_owner" TO the role that migrates`, rights.Hint())
	_, err := w.as("").Exec(t.Context(), `CREATE ROLE orders_owner NOLOGIN; GRANT orders_owner TO mover`)
	require.NoError(t, err)
	require.NoError(t, up())
	require.NoError(t, up())
	require.Empty(t, attempt(t, w.as("orders"), `SELECT FROM orders.orders`))
	require.Equal(t, insufficientPrivilege, attempt(t, w.as("orders"), `DROP TABLE orders.orders CASCADE`))
}
