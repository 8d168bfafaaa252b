package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
)

const noDatabase = "no database is named: set DATABASE_URL (or DATABASE_URL_FILE) to a URL such as postgres://postgres:secret@localhost:5432/pasdetrois"

func TestMistakesOfUsageExitTwoAndSayWhatToDo(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		"help bogus":                             "pas has no command \"bogus\"; see `pas --help`",
		"help order histori":                     "pas order has no command \"histori\", did you mean history?; see `pas order --help`",
		"bogus":                                  "pas has no command \"bogus\"; see `pas --help`",
		"dmeo":                                   "pas has no command \"dmeo\", did you mean demo?; see `pas --help`",
		"--nope":                                 "unknown flag: --nope; see `pas --help`",
		"order":                                  "required flag(s) \"user\" not set; see `pas order --help`",
		"order --user ada":                       "an order needs something to pay: give --item SKU=QUANTITY or --total AMOUNT",
		"order --user ada --item =2":             "--item \"=2\" is not SKU=QUANTITY with a quantity of at least 1",
		"order --user ada --item x=0":            "--item \"x=0\" is not SKU=QUANTITY with a quantity of at least 1",
		"order --user ada --item x=many":         "--item \"x=many\" is not SKU=QUANTITY with a quantity of at least 1",
		"order --user ada --total 1.999":         "--total \"1.999\" is not an amount of USD such as 49.99",
		"order --user ada --total -3":            "--total \"-3\" is not an amount of USD such as 49.99",
		"order --user ada --total 0":             "--total \"0\" is not an amount of USD such as 49.99",
		"order --user ada --total 1 --wait x":    "unexpected argument \"x\"; usage: pas order --user USER (--item SKU=QUANTITY… | --total AMOUNT) [flags]",
		"order --user ada --total 1 --wait 5s":   "unexpected argument \"5s\": write --wait=5s; usage: pas order --user USER (--item SKU=QUANTITY… | --total AMOUNT) [flags]",
		"order --user ada --total 1 --wait=x":    "invalid argument \"x\" for \"--wait\" flag: time: invalid duration \"x\"; see `pas order --help`",
		"order --user ada --total 1 --wait=-1s":  "--wait=-1s is less than 0",
		"show 1 --wait=-1s":                      "--wait=-1s is less than 0",
		"show":                                   "accepts 1 arg(s), received 0; usage: pas show ORDER-ID [flags]",
		"cancel a b":                             "accepts 1 arg(s), received 2; usage: pas cancel ORDER-ID [flags]",
		"inventory put x --name X":               "required flag(s) \"price\" not set; see `pas inventory put --help`",
		"inventory put x --name X --price 0":     "--price \"0\" is not an amount of USD such as 24.50",
		"inventory restock x none":               "QUANTITY \"none\" is not a number of at least 1",
		"dead-letters lst":                       "pas dead-letters has no command \"lst\", did you mean list?; see `pas dead-letters --help`",
		"dead-letters show 1":                    "required flag(s) \"service\" not set; see `pas dead-letters show --help`",
		"dead-letters show 1 --service mail":     "--service \"mail\" is not one of orders, payments, notifications",
		"dead-letters show x --service orders":   "\"x\" is not the id of a dead letter: ids are numbers, see `pas dead-letters list`",
		"dead-letters list --state lost":         "--state \"lost\" is not one of parked, replaying, replayed, discarded, all",
		"topics create --replication-factor 0":   "--replication-factor 0 is less than 1",
		"topics create --min-isr 2":              "--min-isr 2 is not between 0 and the replication factor 1",
		"topics create --partitions mail=3":      "--partitions names \"mail\", which is not one of orders, payments, notifications, order-failures",
		"topics create --partitions orders=0":    "--partitions orders=0 is not between 1 and 10000",
		"topics create web-events":               "say how many partitions web-events shall have: --partitions 1",
		"topics create x --partitions many":      "--partitions \"many\" is neither a number nor TOPIC=NUMBER",
		"topics create a/b --partitions 1":       "\"a/b\" is no topic's name: use letters, digits, '.', '_' and '-'",
		"tail":                                   "requires at least 1 arg(s), only received 0; usage: pas tail TOPIC… [flags]",
		"tail x --since 1":                       "invalid argument \"1\" for \"--since\" flag: time: missing unit in duration \"1\"; see `pas tail --help`",
		"tail x --since -1s":                     "--since -1s is in the future: write 10m for the last ten minutes",
		"tail x --since 1s --from-beginning":     "--from-beginning and --since are both given: keep one",
		"tail x --grep (":                        "--grep \"(\" is no regular expression: missing closing ): `(`",
		"tail x --group payments.payments":       "--group \"payments.payments\" belongs to a service that would lose messages: choose another name",
		"tail x --max -1":                        "--max -1 is less than 0",
		"tail x --group g --no-follow":           "--no-follow reads alone: leave out --group",
		"tail a/b":                               "\"a/b\" is no topic's name: use letters, digits, '.', '_' and '-'",
		"windows":                                "requires at least 1 arg(s), only received 0; usage: pas windows TOPIC… [flags]",
		"windows x --size 1":                     "invalid argument \"1\" for \"--size\" flag: time: missing unit in duration \"1\"; see `pas windows --help`",
		"windows x --size 10ms":                  "--size 10ms is not between 1s and 744h",
		"windows x --grace -1s":                  "--grace -1s is not between 0s and 744h",
		"windows x --keep 24h":                   "--keep is about what is stored: give --store as well",
		"windows x --store --keep 30s":           "--keep 30s is less than --size and --grace",
		"windows x --job j":                      "--job names what is stored: give --store as well",
		"windows x --serve :0 --allowed-host *a": "--allowed-host: \"*a\" is not a name such as shop.example.com or *.example.com",
		"windows x --serve 8090":                 "--serve \"8090\" is not an address such as :8090",
		"windows x --store":                      noDatabase,
		"windows history":                        noDatabase,
		"windows history --last 0":               "--last 0 is not between 1 and 100000",
		"windows history --since -1h":            "--since -1h0m0s is in the future: write 1h for the last hour",
		"migrate": "no database is named: set DATABASE_ADMIN_URL (or DATABASE_ADMIN_URL_FILE) to a URL such as " +
			"postgres://postgres:secret@localhost:5432/pasdetrois",
		"migrate --database-admin-url localhost": "DATABASE_ADMIN_URL is not a URL such as postgres://postgres:secret@localhost:5432/pasdetrois",
		"up --port-offset -1":                    "--port-offset -1 is not between 0 and 50000",
		"up --rest=maybe":                        "invalid argument \"maybe\" for \"--rest\" flag: invalid syntax; see `pas up --help`",
		"topics list --brokers kafka":            "--brokers: \"kafka\" is not host:port",
		"up --data /dev/null/x":                  "--data: mkdir /dev/null: not a directory",
		"version --color blue":                   "--color \"blue\" is not one of auto, always, never",
	} {
		t.Run(arguments, func(t *testing.T) {
			t.Parallel()
			got := pas(t, nil, strings.Fields(arguments)...)
			require.Equal(t, want, got.oneLine(t))
			require.Equal(t, cli.ExitUsage, got.code)
		})
	}
}

func TestAWrongEnvironmentExitsTwo(t *testing.T) {
	t.Parallel()
	got := pas(t, map[string]string{"PAS_ORDERS_URL": "localhost:8080"}, "inventory")
	require.Equal(t, "PAS_ORDERS_URL is not a URL such as http://127.0.0.1:8080", got.oneLine(t))
	require.Equal(t, cli.ExitUsage, got.code)

	got = pas(t, map[string]string{"DATABASE_URL": "localhost"}, "demo")
	require.Equal(t, "DATABASE_URL is not a URL such as postgres://postgres:secret@localhost:5432/postgres", got.oneLine(t))
	require.Equal(t, cli.ExitUsage, got.code)

	got = pas(t, map[string]string{"KAFKA_BROKERS": "kafka"}, "demo")
	require.Equal(t, "KAFKA_BROKERS: \"kafka\" is not host:port", got.oneLine(t))
	require.Equal(t, cli.ExitUsage, got.code)

	got = pas(t, map[string]string{"DATABASE_ADMIN_URL_FILE": "/nowhere"}, "migrate")
	require.Equal(t, "DATABASE_ADMIN_URL_FILE: open /nowhere: no such file or directory", got.oneLine(t))
	require.Equal(t, cli.ExitUsage, got.code)

	for _, wrong := range []struct {
		environ map[string]string
		want    string
	}{
		{map[string]string{"ORDERS_DATABASE_URL": "postgres://y/z"},
			"ORDERS_DATABASE_URL is not a URL with a user, such as postgres://orders:secret@localhost:5432/pasdetrois"},
		{map[string]string{"AUDIT_DATABASE_URL": "y"},
			"AUDIT_DATABASE_URL is not a URL with a user, such as postgres://auditor:secret@localhost:5432/pasdetrois"},
		{map[string]string{"ORDERS_DATABASE_URL": "postgres://one:x@y/z", "PAYMENTS_DATABASE_URL": "postgres://one:x@y/z"},
			"orders and payments would have one role, one: each service needs a role of its own"},
		{map[string]string{"AUDIT_DATABASE_URL": "postgres://payments:x@y/z"},
			"the role payments would be that of payments and audit: give the one that audits a name of its own"},
		{map[string]string{"ORDERS_DATABASE_URL": "postgres://" + strings.Repeat("o", 64) + "@y/z"},
			"ORDERS_DATABASE_URL: a role's name has at most 63 bytes"},
	} {
		wrong.environ["DATABASE_ADMIN_URL"] = "postgres://x"
		got = pas(t, wrong.environ, "migrate")
		require.Equal(t, wrong.want, got.oneLine(t))
		require.Equal(t, cli.ExitUsage, got.code)
	}

	got = pas(t, map[string]string{"DATABASE_ADMIN_URL": "postgres://x"}, "migrate", "--service", "mail")
	require.Equal(t, "--service \"mail\" is not one of orders, payments, notifications", got.oneLine(t))
	require.Equal(t, cli.ExitUsage, got.code)

	got = pas(t, map[string]string{"DATABASE_ADMIN_URL_FILE": "/nowhere", "DATABASE_ADMIN_URL": "postgres://x"}, "migrate")
	require.Equal(t, "DATABASE_ADMIN_URL and DATABASE_ADMIN_URL_FILE are both set: keep one", got.oneLine(t))
	require.Equal(t, cli.ExitUsage, got.code)
}

func TestWhatCannotBeReachedIsReportedInOneLineAtOnce(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		"order --user ada --total 5":             "start the system with `pas up`, or set PAS_ORDERS_URL to where it runs",
		"order --user ada --total 5 --wait":      "start the system with `pas up`, or set PAS_ORDERS_URL to where it runs",
		"show 1":                                 "start the system with `pas up`, or set PAS_ORDERS_URL to where it runs",
		"cancel 1":                               "start the system with `pas up`, or set PAS_ORDERS_URL to where it runs",
		"inventory --json":                       "start the system with `pas up`, or set PAS_ORDERS_URL to where it runs",
		"inventory put x --name X --price 1":     "start the system with `pas up`, or set PAS_ORDERS_ADMIN_URL to where it runs",
		"inventory restock x 1":                  "start the system with `pas up`, or set PAS_ORDERS_ADMIN_URL to where it runs",
		"dead-letters list --service payments":   "start the system with `pas up`, or set PAS_PAYMENTS_ADMIN_URL to where it runs",
		"dead-letters replay 1 --service orders": "start the system with `pas up`, or set PAS_ORDERS_ADMIN_URL to where it runs",
		"topics create":                          "or say where it is with --brokers or KAFKA_BROKERS",
		"topics list":                            "or say where it is with --brokers or KAFKA_BROKERS",
		"topics describe":                        "or say where it is with --brokers or KAFKA_BROKERS",
		"tail orders":                            "or say where it is with --brokers or KAFKA_BROKERS",
		"tail orders --group g":                  "or say where it is with --brokers or KAFKA_BROKERS",
		"windows orders":                         "or say where it is with --brokers or KAFKA_BROKERS",
		"migrate":                                "check host, port, database, user and password in DATABASE_ADMIN_URL",
	} {
		t.Run(arguments, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			got := pas(t, nowhere(t), strings.Fields(arguments)...)
			require.Less(t, time.Since(began), patience/2, "it waited for an address that refuses connections")
			line := got.oneLine(t)
			require.Contains(t, line, "connection refused; ")
			require.Contains(t, line, want)
			require.NotContains(t, line, "secret")
			require.Equal(t, cli.ExitFailure, got.code)
		})
	}
}

func TestAnInterruptedCommandSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr strings.Builder
	code := cli.Run(ctx, cli.Program{Args: []string{"inventory"}, Environ: nowhere(t), Stdout: &strings.Builder{}, Stderr: &stderr})
	require.Equal(t, cli.ExitFailure, code)
	require.Equal(t, "pas: interrupted\n", stderr.String())
}

func TestASecretCanComeFromAFile(t *testing.T) {
	t.Parallel()
	environ := nowhere(t)
	path := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(path, []byte(environ["DATABASE_ADMIN_URL"]+"\n"), 0o600))
	got := pas(t, map[string]string{"DATABASE_ADMIN_URL_FILE": path}, "migrate")
	require.Contains(t, got.oneLine(t), "cannot connect to Postgres at 127.0.0.1:")
}
