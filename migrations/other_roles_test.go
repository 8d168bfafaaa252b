package migrations_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

// others are the roles of a second installation, with names that have to be quoted.
func others(service string) migrations.Roles {
	return migrations.Roles{Runtime: `North "` + service + `"`, Auditor: "North's auditor"}
}

func upWith(t *testing.T, adminURL string, roles func(service string) migrations.Roles) {
	t.Helper()
	for _, service := range messages.Services() {
		require.NoError(t, migrations.UpService(t.Context(), adminURL, service, roles(service)))
	}
}

// owned starts a server of the test's own and returns its superuser's URL: roles belong to a whole server.
func owned(t *testing.T) *world {
	t.Helper()
	server, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return &world{&testkit.DB{AdminURL: server.AdminURL("postgres")}, t}
}

func TestRolesOfOtherNamesGetTheSame(t *testing.T) {
	t.Parallel()
	usual := setup(t)
	usual.up()
	w := owned(t)
	upWith(t, w.AdminURL, others)
	admin := w.as("")
	require.Empty(t, w.lines(admin, `SELECT rolname::text FROM pg_roles WHERE rolname IN ('orders', 'payments', 'notifications', 'auditor')`))

	// Privileges: who may do what on each thing. Names are compared by their part.
	const grantsSQL = `
WITH part AS (SELECT oid, CASE WHEN rolname LIKE '%auditor' THEN 'auditor' WHEN rolname LIKE '%owner' THEN 'owner' ELSE 'runtime' END AS name FROM pg_roles)
SELECT format('%s %s.%s %s %s', relkind, nspname, relname, part.name, a.privilege_type)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, aclexplode(relacl) a JOIN part ON part.oid = a.grantee
WHERE nspname IN ('orders', 'payments', 'notifications')
UNION ALL SELECT format('schema %s %s %s', nspname, part.name, a.privilege_type)
FROM pg_namespace, aclexplode(nspacl) a JOIN part ON part.oid = a.grantee WHERE nspname IN ('orders', 'payments', 'notifications')
UNION ALL SELECT format('function %s.%s %s %s', nspname, proname, coalesce(part.name, 'PUBLIC'), a.privilege_type)
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace, aclexplode(proacl) a LEFT JOIN part ON part.oid = a.grantee
WHERE nspname IN ('orders', 'payments', 'notifications')
UNION ALL SELECT format('%s %s belongs to %s', c.relkind, c.oid::regclass, part.name) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
JOIN part ON part.oid = relowner WHERE nspname IN ('orders', 'payments', 'notifications') AND relkind IN ('r', 'S', 'v') ORDER BY 1`
	want := usual.lines(usual.as(""), grantsSQL)
	require.Greater(t, len(want), 20)
	require.Equal(t, want, w.lines(admin, grantsSQL))
	for _, service := range messages.Services() {
		conn := w.connect(w.with(others(service).Runtime, others(service).Runtime))
		for _, s := range pgdb.RoleSettings(service) {
			require.Equal(t, []string{"true"}, w.lines(conn, `SELECT (current_setting($1) = set_config($1, $2, true))::text`, s.Name, s.Value), s.Name)
		}
		_, err := conn.Exec(t.Context(), `SELECT count(*) FROM dead_letters`)
		require.NoError(t, err, "search_path leads to the schema")
	}
	upWith(t, w.AdminURL, others)
	require.Equal(t, want, w.lines(admin, grantsSQL), "again changes nothing")
}

// A migration runs once: an auditor that is named later gets what the earlier one was granted.
func TestAnAuditorThatIsNamedLaterMayReadTheSame(t *testing.T) {
	t.Parallel()
	w := owned(t)
	w.up()
	upWith(t, w.AdminURL, func(service string) migrations.Roles { return migrations.Roles{Runtime: service, Auditor: "reader"} })
	admin := w.as("")
	const mayReadSQL = `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname IN ('orders', 'payments', 'notifications') AND relkind IN ('r', 'v') AND has_schema_privilege($1, n.oid, 'USAGE')
  AND has_table_privilege($1, c.oid, 'SELECT') ORDER BY 1`
	want := w.lines(admin, mayReadSQL, migrations.Auditor)
	require.Greater(t, len(want), 10)
	require.Equal(t, want, w.lines(admin, mayReadSQL, "reader"))
}

func TestASchemaOfAnotherRoleIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := owned(t)
	w.up()
	err := migrations.UpService(t.Context(), w.AdminURL, "orders", others("orders"))
	var owner *migrations.OwnerError
	require.ErrorAs(t, err, &owner)
	require.Equal(t, migrations.OwnerError{Schema: "orders", Owner: "orders_owner", Named: others("orders").Runtime}, *owner)
	require.Empty(t, w.lines(w.as(""), `SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'North%'`), "no role is made for it")
}

// Each place of a role's name in the SQL is one that another name replaces.
func TestTheSQLNamesNoRolesButThoseThatGrantsReplace(t *testing.T) {
	t.Parallel()
	comments := regexp.MustCompile(`(?m)--.*$`)
	roles := regexp.MustCompile(`(?i)\b(auditor|runtime|ROLE|OWNER TO|AUTHORIZATION|current_user|session_user)\b`)
	grants := regexp.MustCompile(`(?im)^\s*(GRANT|REVOKE)\b`)
	seen := 0
	for _, service := range messages.Services() {
		for name, text := range migrations.Named(t, service, migrations.Roles{Runtime: "other", Auditor: "other"}) {
			text = comments.ReplaceAllString(text, "")
			require.NotRegexp(t, roles, text, name)
			for _, at := range grants.FindAllStringIndex(text, -1) {
				line, _, _ := strings.Cut(strings.TrimLeft(text[at[0]:], "\n "), "\n")
				require.Regexp(t, `(TO|FROM) ("other"|PUBLIC);$`, line, name)
				seen++
			}
		}
	}
	require.Greater(t, seen, 10)
}
