package cli_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// askForPasswords starts a Postgres with one database for each name. Each login needs its password.
func askForPasswords(t *testing.T, databases ...string) (adminURL func(database string) string) {
	t.Helper()
	server, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	admin, err := pgx.Connect(t.Context(), server.AdminURL("postgres"))
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(t.Context())) }()
	for _, name := range databases {
		_, err = admin.Exec(t.Context(), `CREATE DATABASE `+name)
		require.NoError(t, err)
	}
	return server.AdminURL
}

// login returns a database's URL for a role.
func login(t *testing.T, adminURL, role, password string) string {
	t.Helper()
	u, err := url.Parse(adminURL)
	require.NoError(t, err)
	u.User = url.UserPassword(role, password)
	return u.String()
}

// settings are what one installation's roles are called, with a password each.
func settings(t *testing.T, adminURL, prefix, password string) map[string]string {
	t.Helper()
	environ := map[string]string{"DATABASE_ADMIN_URL": adminURL, "AUDIT_DATABASE_URL": login(t, adminURL, prefix+"auditor", prefix+"auditor"+password)}
	for _, service := range messages.Services() {
		environ[strings.ToUpper(service)+"_DATABASE_URL"] = login(t, adminURL, prefix+service, prefix+service+password)
	}
	return environ
}

// enters reports whether a login works.
func enters(t *testing.T, target string) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), target)
	if err == nil {
		require.NoError(t, conn.Close(t.Context()))
	}
	return err == nil
}

// Roles belong to a whole Postgres server: the second installation's migration would shut the first one's services out.
func TestASecondInstallationLeavesTheFirstOnesPasswords(t *testing.T) {
	t.Parallel()
	on := askForPasswords(t, "north", "south")
	north, south := settings(t, on("north"), "", "-1"), settings(t, on("south"), "", "-2")
	got := pas(t, north, "migrate")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.NotContains(t, got.stdout, "also used by")

	got = pas(t, south, "migrate")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Equal(t, "the role auditor has another password, and is also used by: north; "+
		"name a role of this installation's own in the URL, or change the password for all of them with --replace-passwords", got.oneLine(t))
	for name, target := range north {
		require.True(t, enters(t, target), name)
	}
	require.Empty(t, tables(t, on("south")), "nothing was migrated")

	// The same passwords are no fault: databases apart on one server share the auditor.
	same := settings(t, on("south"), "", "-1")
	got = pas(t, same, "migrate", "--service", "payments")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "The role auditor is also used by: north.\n")
	require.True(t, enters(t, same["PAYMENTS_DATABASE_URL"]))

	// A role of its own has its password changed at any time, in whatever database the URL's password is from.
	own := settings(t, on("north"), "", "-1")
	own["NOTIFICATIONS_DATABASE_URL"] = login(t, on("north"), "notifications", "another")
	got = pas(t, own, "migrate")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.True(t, enters(t, own["NOTIFICATIONS_DATABASE_URL"]))

	got = pas(t, south, "migrate", "--replace-passwords")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.True(t, enters(t, south["ORDERS_DATABASE_URL"]))
	require.False(t, enters(t, north["ORDERS_DATABASE_URL"]))
}

func TestMigrateTakesNoRoleThatIsNotAServicesOwn(t *testing.T) {
	t.Parallel()
	on := askForPasswords(t, "north")
	got := pas(t, settings(t, on("north"), "", ""), "migrate")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	admin, err := pgx.Connect(t.Context(), on("north"))
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(t.Context())) }()
	_, err = admin.Exec(t.Context(), `CREATE ROLE chief LOGIN CREATEROLE PASSWORD 'kept'`)
	require.NoError(t, err)
	for user, want := range map[string]string{
		"postgres": "the role postgres is a superuser, makes roles or is the one that migrates: a service needs a role of its own; name another role in the service's URL",
		"chief":    "the role chief is a superuser, makes roles or is the one that migrates: a service needs a role of its own; name another role in the service's URL",
	} {
		environ := map[string]string{"DATABASE_ADMIN_URL": on("north"), "AUDIT_DATABASE_URL": login(t, on("north"), user, "changed")}
		got = pas(t, environ, "migrate")
		require.Equal(t, cli.ExitFailure, got.code)
		require.Equal(t, want, got.oneLine(t))
	}
	require.True(t, enters(t, login(t, on("postgres"), "chief", "kept")))
	got = pas(t, map[string]string{"DATABASE_ADMIN_URL": on("north"), "ORDERS_DATABASE_URL": login(t, on("north"), "other", "x")}, "migrate")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Equal(t, "the schema orders belongs to the role orders_owner, not to other; name orders in ORDERS_DATABASE_URL", got.oneLine(t))
}

func tables(t *testing.T, adminURL string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), adminURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	rows, err := conn.Query(t.Context(), `SELECT tablename::text FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

// Two whole systems on one Postgres server and one broker, each with roles, topics and groups of its own.
func TestTwoInstallationsWorkSideBySide(t *testing.T) {
	t.Parallel()
	on := askForPasswords(t, "north", "south")
	broker, err := embedded.StartBroker(embedded.BrokerConfig{})
	require.NoError(t, err)
	t.Cleanup(broker.Stop)
	for _, name := range []string{"north", "south"} {
		prefix := name + "_"
		environ := settings(t, on(name), prefix, "") // the password is the role's name, as the stack expects
		got := pas(t, environ, "migrate", "--json")
		require.Equal(t, cli.ExitOK, got.code, got.stderr)
		require.Contains(t, got.stdout, `"`+prefix+`orders"`)
	}
	for _, name := range []string{"north", "south"} {
		prefix, other := name+"_", map[string]string{"north": "south", "south": "north"}[name]
		s, err := stack.Start(t.Context(), stack.Config{DatabaseURL: on(name), RolePrefix: prefix, Brokers: broker.Addrs(),
			TopicPrefix: name + ".", GroupPrefix: name + "."})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Stop()) })
		order, _, err := s.Client().Place(t.Context(), client.NewOrder{OrderID: "one-id", UserID: name, Total: "5.00"}, client.PlaceOptions{})
		require.NoError(t, err)
		order, err = s.Client().Settled(t.Context(), order.OrderID)
		require.NoError(t, err)
		require.Equal(t, "confirmed", order.Status)
		require.Equal(t, name, order.UserID)

		environ := reach(s)
		environ["AUDIT_DATABASE_URL"] = login(t, on(name), prefix+"auditor", prefix+"auditor")
		environ["KAFKA_TOPIC_PREFIX"], environ["KAFKA_GROUP_PREFIX"] = name+".", name+"."
		for _, arguments := range []string{"audit --topics --grace 0s", "replay --service payments --from beginning"} {
			testkit.Eventually(t, func() error { // the order's email may still be on its way
				if got := pas(t, environ, strings.Fields(arguments)...); got.code != cli.ExitOK {
					return errors.New(got.stdout + got.stderr)
				}
				return nil
			})
		}

		// Its roles reach nothing of the other's.
		for _, role := range []string{"orders", "payments", "notifications", "auditor"} {
			_, err := pgx.Connect(t.Context(), login(t, on(other), prefix+role, prefix+role))
			require.ErrorContains(t, err, "permission denied for database")
		}
	}
}
