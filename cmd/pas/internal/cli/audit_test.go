package cli_test

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
)

func TestAuditSaysWhatHoldsAndNamesWhatDoesNot(t *testing.T) {
	t.Parallel()
	s, err := stack.Start(t.Context(), stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	require.NoError(t, scenario.Audited().Run(t.Context(), scenario.On(s))) // places an order and waits until nothing is in flight
	environ := map[string]string{"AUDIT_DATABASE_URL": s.AuditorURL(), "KAFKA_BROKERS": strings.Join(s.Brokers(), ",")}

	got := pas(t, environ, "audit", "--topics", "--grace", "0s")
	require.Equal(t, cli.ExitOK, got.code, got.stdout+got.stderr)
	require.Contains(t, got.stdout, "topics     ok              1      0  each order's state, rebuilt from the topics alone")
	require.Contains(t, got.stdout, "1 orders, 0 in flight, in ")

	require.NoError(t, scenario.On(s).Books.Misplace(t.Context(), "record-brush", 1))
	got = pas(t, environ, "audit", "--grace", "0s")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.stdout, "stock      WRONG")
	require.Contains(t, got.stdout, "  stock: record-brush: 999 available, 0 reserved (orders: 0), 1 sold (orders: 0) of 1000")
	require.Equal(t, "pas: 1 of 10 checks do not hold\n", got.stderr)

	got = pas(t, environ, "audit", "--json")
	require.Equal(t, cli.ExitFailure, got.code)
	var view struct {
		Passed bool
		Checks []struct {
			Check string
			Wrong int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &view))
	require.False(t, view.Passed)
	require.Len(t, view.Checks, 10)
	require.Equal(t, 1, view.Checks[0].Wrong)
}

func TestAuditThatCannotBeDoneSaysWhatToDo(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and answers nothing
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	gone := nowhere(t)
	for name, c := range map[string]struct {
		database, want string
		code           int
	}{
		"no database":  {"", "no database is named: set AUDIT_DATABASE_URL (or AUDIT_DATABASE_URL_FILE) to a URL such as postgres://auditor:secret@localhost:5432/pasdetrois, or start `pas up` in this folder", cli.ExitUsage},
		"no URL":       {"localhost", "AUDIT_DATABASE_URL is not a URL such as postgres://auditor:secret@localhost:5432/pasdetrois", cli.ExitUsage},
		"nobody there": {gone["DATABASE_ADMIN_URL"], "check host and port in AUDIT_DATABASE_URL", cli.ExitFailure},
		"no answer":    {"postgres://auditor:secret@" + silent.Addr().String() + "/pas", "check host and port in AUDIT_DATABASE_URL", cli.ExitFailure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := impatient(t, map[string]string{"AUDIT_DATABASE_URL": c.database}, "audit")
			require.Contains(t, got.oneLine(t), c.want)
			require.NotContains(t, got.stderr, "secret@127")
			require.Equal(t, c.code, got.code)
		})
	}
	got := pas(t, nil, "audit", "--grace", "-1s")
	require.Equal(t, "--grace -1s is less than 0", got.oneLine(t))
	require.Equal(t, cli.ExitUsage, got.code)
}
