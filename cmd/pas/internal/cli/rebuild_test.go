package cli_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// sql runs a statement in the database of a system that has stopped.
func sql(t *testing.T, data, statement string) {
	t.Helper()
	s, err := stack.OpenStopped(t.Context(), data, false)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop()) }()
	conn, err := pgx.Connect(t.Context(), s.AdminURL())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), statement)
	require.NoError(t, err)
}

// publish writes a message as the service payments does, to the topics of a system that has stopped.
func publish(t *testing.T, data string, e messages.Event) {
	t.Helper()
	s, err := stack.OpenStopped(t.Context(), data, false)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop()) }()
	m, err := messages.Message{ID: messages.ID(e.Key(), e.EventName(), "test"), Source: messages.ServicePayments, Event: e, Time: time.Now()}.Record()
	require.NoError(t, err)
	r := &kgo.Record{Topic: m.Topic, Key: m.Key, Value: m.Value, Timestamp: m.Time}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	writer, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	require.NoError(t, err)
	defer writer.Close()
	require.NoError(t, writer.ProduceSync(t.Context(), r).FirstErr())
}

type rebuiltView struct {
	Services []struct {
		Service  string
		Findings []struct{ Kind, Key, Was, Is string }
		Report   struct{ Made, Changed, Equal, Unknown int }
	}
}

func TestRebuildMakesTheRowsOfASystemThatHasStopped(t *testing.T) {
	t.Parallel()
	data := upFolder(t)
	s, err := stack.Start(t.Context(), stack.Config{DataDir: data})
	require.NoError(t, err)
	for range 2 {
		order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{Wait: time.Minute})
		require.NoError(t, err)
		require.Equal(t, "confirmed", order.Status)
	}
	require.NoError(t, s.Stop())
	sql(t, data, `DELETE FROM payments.payments`)
	rebuild := func(args ...string) (view rebuiltView) {
		got := pas(t, nil, append([]string{"rebuild", "--service", "payments", "--data", data, "--json"}, args...)...)
		require.Equal(t, cli.ExitOK, got.code, got.stderr)
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &view), got.stdout)
		require.Len(t, view.Services, 1)
		return view
	}
	for _, args := range [][]string{{"--dry-run"}, nil} {
		view := rebuild(args...)
		require.Equal(t, 2, view.Services[0].Report.Made)
		require.Len(t, view.Services[0].Findings, 2)
		require.Equal(t, "differs", view.Services[0].Findings[0].Kind)
	}
	view := rebuild()
	require.Equal(t, 2, view.Services[0].Report.Equal)
	require.Empty(t, view.Services[0].Findings)

	got := pas(t, nil, "rebuild", "--service", "payments", "--data", data, "--dry-run")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Regexp(t, `payments +\d+ +0 +0 +2 +0 +0 `, got.stdout)
	require.Contains(t, got.stdout, "Nothing was changed")

	sql(t, data, `ALTER TABLE payments.goose_db_version RENAME TO goose_before`)
	got = pas(t, nil, "rebuild", "--service", "payments", "--data", data, "--dry-run")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.oneLine(t), "the schema payments was never migrated; a rebuild without --dry-run brings")
	sql(t, data, `ALTER TABLE payments.goose_before RENAME TO goose_db_version`)

	// The order of a payment is in no topic. Payments needs no repair of that, so the exit code stays 0.
	publish(t, data, messages.PaymentCaptured{OrderID: "lost", UserID: "ada", Amount: messages.Money{Minor: 500, Currency: "USD"}, PaymentID: "p"})
	view = rebuild()
	require.Equal(t, [...]int{1, 2, 1}, [...]int{view.Services[0].Report.Made, view.Services[0].Report.Equal, view.Services[0].Report.Unknown})
	got = pas(t, nil, "rebuild", "--service", "orders", "--data", data)
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.stderr, "the rebuild is complete, and orders may start; 1 things cannot be known; each is listed above")
	require.Contains(t, got.stdout, "lost is unknown")
}

func TestRebuildSaysWhatIsWrongWithItsFlags(t *testing.T) {
	t.Parallel()
	database := map[string]string{"PAYMENTS_DATABASE_URL": "postgres://payments:secret@127.0.0.1:1/pas"}
	for _, c := range []struct {
		environ map[string]string
		args    []string
		want    string
	}{
		{nil, nil, "--service is missing: give one of orders, payments, notifications, or all"},
		{nil, []string{"--service", "x"}, `--service "x" is not one of orders, payments, notifications, and not all`},
		{nil, []string{"--service", "orders"}, "no database of orders is named: set ORDERS_DATABASE_URL (or ORDERS_DATABASE_URL_FILE)"},
		{database, []string{"--service", "all"}, "no database of orders is named"},
		{map[string]string{"DATABASE_URL": "postgres://orders@localhost/pas"}, []string{"--service", "all"}, "no database of orders is named"},
		{nil, []string{"--service", "all", "--database-url", "postgres://orders@localhost/pas"}, "--database-url is of one service"},
		{nil, []string{"--service", "orders", "--database-url", "secret"}, "the database URL of orders is not a URL such as"},
		{map[string]string{"PAYMENT_TIMEOUT": "soon"}, []string{"--service", "orders"}, `PAYMENT_TIMEOUT "soon" is not a duration`},
		{database, []string{"--service", "payments", "--provider-url", "gopher://x"}, `no provider has the scheme "gopher"`},
		{database, []string{"--service", "payments", "--data", "x", "--brokers", "a:1"}, "--data has a database and a broker"},
		{nil, []string{"--service", "payments", "--data", t.TempDir()}, "has no data of a `pas up`"},
	} {
		got := pas(t, c.environ, append([]string{"rebuild"}, c.args...)...)
		require.Equal(t, cli.ExitUsage, got.code, got.stderr)
		line := got.oneLine(t)
		require.Contains(t, line, c.want)
		require.NotContains(t, line, "secret@127")
	}
}

func TestRebuildThatCannotReachItsDatabaseSaysSo(t *testing.T) {
	t.Parallel()
	got := pas(t, nowhere(t), "rebuild", "--service", "payments", "--database-url", "postgres://payments:hidden@127.0.0.1:1/pas")
	require.Equal(t, cli.ExitFailure, got.code)
	line := got.oneLine(t)
	require.Contains(t, line, "connection refused; check host and port")
	require.NotContains(t, line, "hidden")
}
