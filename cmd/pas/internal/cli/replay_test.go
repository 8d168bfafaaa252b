package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/toolbox/client"
)

// auditor is the stack's database as the role that may read.
func auditor(t *testing.T, s *stack.Stack) string {
	t.Helper()
	return s.AuditorURL()
}

func TestReplayShowsThatNothingChangesOrWhatDid(t *testing.T) {
	t.Parallel()
	s, err := stack.Start(t.Context(), stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	environ := reach(s)
	environ["AUDIT_DATABASE_URL"] = auditor(t, s)
	order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{})
	require.NoError(t, err)
	order, err = s.Client().Settled(t.Context(), order.OrderID)
	require.NoError(t, err)
	require.Equal(t, "confirmed", order.Status)

	got := pas(t, environ, "replay", "--service", "payments", "--from", "beginning")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Regexp(t, `(?m)^payments  payments.payments         2  [012]: 0-1$`, got.stdout)
	require.Contains(t, got.stdout, "payments read 2 of 2 messages again in ")
	require.Regexp(t, `State before  ([0-9a-f]{64})\n`, got.stdout)
	require.Contains(t, got.stdout, "2 rows compared: equal; not compared: 0 not settled before, 0 moved on by something else\n")
	for _, step := range []string{"pausing what payments consumes\n", "moved payments.payments back by 2 messages\n", "payments consumes again\n"} {
		require.Contains(t, got.stderr, step)
	}
	got = pas(t, environ, "replay", "--service", "orders", "--topic", "orders,payments", "--from", "10m ago", "--json")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	var said struct {
		Equal                   *bool
		Messages, Handled, Rows int64
		StateBefore             string `json:"state_before"`
		StateAfter              string `json:"state_after"`
		Topics                  []struct{ Topic string }
		Differences             []any
		PausedSeconds           float64 `json:"paused_seconds"`
		Seconds                 float64
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &said))
	require.True(t, *said.Equal)
	require.Equal(t, said.StateBefore, said.StateAfter)
	require.Len(t, said.Topics, 2)
	require.Equal(t, said.Messages, said.Handled)
	require.NotZero(t, said.Rows)
	require.NotNil(t, said.Differences)
	require.Greater(t, said.Seconds, said.PausedSeconds)

	got = pas(t, environ, "replay", "--service", "notifications", "--from", time.Now().Format(time.RFC3339Nano))
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Equal(t, "Nothing to replay: notifications has handled no message from there on.\n", got.stdout)
	require.Len(t, s.Emails(), 1)
	for arguments, want := range map[string]string{
		"--from beginning --topic notifications":                                  `orders does not read the topic "notifications": it reads orders, payments, order-failures`,
		"--from 0 --topic orders --partition 6":                                   "topic orders has no partition 6: they are numbered 0 to 5",
		"--from 1000 --topic payments":                                            "; give another --from, or choose a partition with --topic and --partition",
		"--from 0 --topic order-failures":                                         "nothing that is left of order-failures/0 was handled before",
		"--from 0 --brokers 127.0.0.1:1":                                          "or say where it is with --brokers or KAFKA_BROKERS",
		"--from 0 --admin " + s.Client().Endpoint(client.Payments).Admin:          "is not orders: it reads as the consumer group payments.payments; give the admin URL of orders with --admin",
		"--from beginning --database-url postgres://auditor:secret@127.0.0.1:1/x": "cannot connect to Postgres at 127.0.0.1:1; check host and port in AUDIT_DATABASE_URL",
	} {
		wrong := environ
		if strings.Contains(arguments, "--database-url") {
			wrong = reach(s)
		}
		got := pas(t, wrong, append([]string{"replay", "--service", "orders"}, strings.Fields(arguments)...)...)
		require.NotEqual(t, cli.ExitOK, got.code)
		require.Contains(t, got.oneLine(t), want)
		require.NotContains(t, got.stderr, "secret")
	}

	// Something goes wrong, behind the back of the service.
	var stdout bytes.Buffer
	stderr := &trigger{text: "moved payments.payments back", do: func() {
		conn, err := pgx.Connect(t.Context(), s.AdminURL())
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "UPDATE payments.payments SET status = 'refunded', reason = 'x' WHERE order_id = $1", order.OrderID)
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	}}
	code := cli.Run(t.Context(), cli.Program{Args: []string{"replay", "--service", "payments", "--from", "beginning"}, Environ: environ, Stdout: &stdout, Stderr: stderr})
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, stdout.String(), "2 rows compared: 1 DIFFERENT; ")
	require.Contains(t, stdout.String(), "  payments "+order.OrderID+" is refunded; it was captured\n")
}

// Rows that were missing are made again: the replay fails all the same, and says that it repaired them. A row that lost a
// decision of the topics is not decided anew.
func TestReplaySaysThatItRepairedOrThatItMustNot(t *testing.T) {
	t.Parallel()
	s, err := stack.Start(t.Context(), stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	environ := reach(s)
	environ["AUDIT_DATABASE_URL"] = auditor(t, s)
	order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{Wait: 30 * time.Second})
	require.NoError(t, err)
	require.Equal(t, "confirmed", order.Status)
	conn, err := pgx.Connect(t.Context(), s.AdminURL())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	lose := func(table string) {
		_, err := conn.Exec(t.Context(), "DELETE FROM "+table+" WHERE order_id = $1", order.OrderID)
		require.NoError(t, err)
	}
	var stdout, said bytes.Buffer
	stderr := &trigger{text: "pausing what notifications consumes", do: func() { lose("notifications.notifications") }}
	code := cli.Run(t.Context(), cli.Program{Args: []string{"replay", "--service", "notifications", "--from", "beginning"}, Environ: environ, Stdout: &stdout,
		Stderr: io.MultiWriter(stderr, &said)})
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, stdout.String(), "confirmed of order "+order.OrderID+"\n")
	require.Contains(t, stdout.String(), " was added: ")
	require.Contains(t, said.String(), "all of them were missing and are there now: the replay repaired them")

	lose("payments.payments")
	got := pas(t, environ, "replay", "--service", "payments", "--from", "beginning")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.stderr, "the database of payments is behind the topics: it lacks decisions that they have about 1 payment, the first is "+
		order.OrderID+": the topics have payment_captured, there is no row; nothing was touched; make the state again from the topics with `pas rebuild --service payments`\n")
	require.Empty(t, got.stdout)
}

func TestAReplayThatIsInterruptedLetsTheServiceGoOnAndSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	s, err := stack.Start(t.Context(), stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	environ := reach(s)
	environ["AUDIT_DATABASE_URL"] = auditor(t, s)
	order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{})
	require.NoError(t, err)
	_, err = s.Client().Settled(t.Context(), order.OrderID)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout bytes.Buffer
	code := cli.Run(ctx, cli.Program{Args: []string{"replay", "--service", "payments", "--from", "beginning"}, Environ: environ, Stdout: &stdout,
		Stderr: &trigger{text: "payments consumes again", do: cancel}})
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, stdout.String(), "payments read 0 of 2 messages again")
	require.Contains(t, stdout.String(), "The state was not compared. payments consumes on.\n")
	require.Eventually(t, func() bool {
		consumers, err := s.Client().Consumers(t.Context(), client.Payments)
		return err == nil && consumers.State == client.ConsumersConsuming
	}, time.Minute, 20*time.Millisecond)
}

func TestReplayRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		"":                                  "--service is missing: give one of orders, payments, notifications",
		"--service mail":                    `--service "mail" is not one of orders, payments, notifications`,
		"--service orders":                  `--from is missing: give beginning, a time such as 2026-01-31T15:04:05Z or "10m ago", or an offset`,
		"--service orders --from yesterday": `--from "yesterday" is neither beginning, nor a time such as 2026-01-31T15:04:05Z or "10m ago", nor an offset`,
		"--service orders --from -1":        `--from "-1" is neither beginning`,
		"--service orders --from 2999-01-01T00:00:00Z":                                 `--from "2999-01-01T00:00:00Z" is in the future`,
		"--service orders --from 1 --partition 1":                                      "--partition is of one topic: give it with --topic",
		"--service orders --from 1 --topic orders --partition -2":                      "--partition -2 is less than 0",
		"--service orders --from 1 --patience 0s":                                      "--patience 0s is not more than 0",
		"--service orders --from 1 --brokers x":                                        `--brokers: "x" is not host:port`,
		"--service orders --from 1":                                                    "no database is named: set AUDIT_DATABASE_URL",
		"--service orders --from 1 --database-url localhost":                           "AUDIT_DATABASE_URL is not a URL such as",
		"--service orders --from 1 --database-url postgres://x --admin localhost:9080": `--admin "localhost:9080" is not a URL such as http://127.0.0.1:9080`,
		"now": "usage: pas replay",
	} {
		got := pas(t, nil, append([]string{"replay"}, strings.Fields(arguments)...)...)
		require.Equal(t, cli.ExitUsage, got.code, arguments)
		require.Contains(t, got.oneLine(t), want, arguments)
	}
}

func TestReplaySaysWhichServiceItCannotReach(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	for admin, c := range map[string]struct {
		run  func(*testing.T, map[string]string, ...string) answer
		want string
	}{
		nowhere(t)["PAS_PAYMENTS_ADMIN_URL"]: {pas, "connection refused; start the system with `pas up`, or say where the service is with --admin or PAS_PAYMENTS_ADMIN_URL"},
		"http://" + l.Addr().String():        {impatient, "no answer in time; start the system with"},
	} {
		got := c.run(t, nil, "replay", "--service", "payments", "--from", "beginning", "--database-url", "postgres://x", "--admin", admin)
		require.Equal(t, cli.ExitFailure, got.code)
		require.Contains(t, got.oneLine(t), "cannot reach payments at "+admin+": "+c.want)
	}
}
