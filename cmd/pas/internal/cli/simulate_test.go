package cli_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/simulate"
)

// reach is the environment in which commands find a stack.
func reach(s *stack.Stack) map[string]string {
	environ := map[string]string{"KAFKA_BROKERS": strings.Join(s.Brokers(), ",")}
	for _, name := range messages.Services() {
		at := s.Client().Endpoint(name)
		environ["PAS_"+strings.ToUpper(name)+"_URL"], environ["PAS_"+strings.ToUpper(name)+"_ADMIN_URL"] = at.Public, at.Admin
	}
	return environ
}

// What the summary says is what the services, the emails and the topic say.
func TestSimulateMakesOrdersEmailsAndWebEventsThatAreThere(t *testing.T) {
	t.Parallel()
	s, err := stack.Start(t.Context(), stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	environ := reach(s)
	run := []string{"simulate", "--rate", "20", "--duration", "3s", "--users", "5", "--seed", "3", "--run", "first", "--flat", "--cancelled", "0.2",
		"--declined", "0.2", "--over-limit", "0.1", "--settle", "5m"}
	run = run[:len(run):len(run)]

	got := pas(t, environ, run...)
	require.Equal(t, cli.ExitFailure, got.code)
	require.Equal(t, `there is no topic "web-events"; there are notifications, order-failures, orders, payments; `+
		"create it with `pas topics create web-events --partitions 1`", got.oneLine(t))
	require.Empty(t, s.Emails())

	topic(t, environ, "web-events")
	got = pas(t, environ, append(run, "--json")...)
	require.Equal(t, cli.ExitOK, got.code, got.stderr+got.stdout)
	var said struct {
		simulate.Summary
		Passed bool
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &said))
	require.True(t, said.Passed)
	require.NotZero(t, said.Taken)
	require.GreaterOrEqual(t, said.Orders, said.Taken, "a busy machine may refuse some")
	require.Equal(t, said.Taken, said.ToEmail.Count)
	require.GreaterOrEqual(t, said.ToEmail.P50, said.ToAnswer.P50)

	ended := map[string]int64{}
	for user := range 5 {
		orders, err := s.Client().OrdersOf(t.Context(), fmt.Sprintf("shopper-%d", user+1))
		require.NoError(t, err)
		for _, o := range orders {
			require.True(t, strings.HasPrefix(o.OrderID, "first-"))
			ended[o.Status]++
		}
	}
	require.Equal(t, said.Outcomes, ended)
	require.NotZero(t, ended["confirmed"])
	require.NotZero(t, ended["failed"])
	require.NotZero(t, ended["cancelled"])
	written := pas(t, environ, "tail", "web-events", "--from-beginning", "--no-follow", "--event", "checkout", "--json")
	require.Equal(t, said.Orders, int64(strings.Count(written.stdout, "\n")))
	require.Contains(t, written.stderr, fmt.Sprintf("Read %d:", total(said.Events)))

	got = pas(t, environ, append(run, "--no-events")...)
	require.Equal(t, cli.ExitOK, got.code, got.stderr+got.stdout)
	var taken, known int
	_, err = fmt.Sscanf(got.stdout[strings.Index(got.stdout, "answers "):], "answers %d taken, %d of them known before", &taken, &known)
	require.NoError(t, err, got.stdout)
	require.Positive(t, known)
	sent := map[string]bool{}
	for _, e := range s.Emails() {
		require.False(t, sent[e.OrderID+e.Kind], "order %s has two emails of kind %s", e.OrderID, e.Kind)
		sent[e.OrderID+e.Kind] = true
	}

	require.NoError(t, s.StopService(t.Context(), client.Payments))
	got = pas(t, environ, "simulate", "--no-events", "--rate", "5", "--duration", "2s", "--seed", "3", "--run", "stuck", "--flat", "--settle", "100ms", "--cancelled", "0")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Regexp(t, `(?m)^outcomes +\d+ not settled`, got.stdout)
	require.Regexp(t, "pas: (\\d+) of \\d+ orders are not settled 100ms after the traffic; see `pas show stuck-\\d+`, or allow more time with --settle\n$", got.stderr)
}

func total(counts map[string]int64) (sum int64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

func TestSimulateRefusesFlagsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		"--rate 0":             "--rate 0 is not more than 0 and at most 10000 orders per second",
		"--rate NaN":           "--rate NaN is not",
		"--rate 10001":         "--rate 10001 is not",
		"--rate fast":          "pas simulate --help",
		"--duration 0s":        "--duration 0s is not more than 0",
		"--users 0":            "--users 0 is not between 1 and 1000000000",
		"--seed -1":            "pas simulate --help",
		"--run a/b":            `--run "a/b" is not 1 to 64 letters, digits, '.', '_' and '-'`,
		"--day -1s":            "--day -1s is less than 0",
		"--day 1s --flat":      "--day and --flat are both given: keep one",
		"--buy 0":              "--buy 0 is not a share between 0.01 and 1",
		"--declined 1.1":       "--declined 1.1 is not a share between 0 and 1",
		"--over-limit -0.1":    "--over-limit -0.1 is not a share",
		"--cancelled NaN":      "--cancelled NaN is not a share",
		"--fraud-limit 0":      "--fraud-limit 0 is not between 1 and 1000000000",
		"--settle -1s":         "--settle -1s is less than 0",
		"--topic-prefix a/b":   "a/b",
		"now":                  "usage: pas simulate",
		"--duration forever":   "pas simulate --help",
		"--declined 5%":        "pas simulate --help",
		"--no-events --rate -": "pas simulate --help",
	} {
		got := pas(t, nil, append([]string{"simulate"}, strings.Fields(arguments)...)...)
		require.Equal(t, cli.ExitUsage, got.code, arguments)
		require.Contains(t, got.oneLine(t), want, arguments)
	}
}

func TestSimulateSaysWhatItCannotReach(t *testing.T) {
	t.Parallel()
	environ := nowhere(t)
	got := pas(t, environ, "simulate")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Regexp(t, `^cannot reach orders at .*: connection refused; start the system with `+"`pas up`, or set PAS_ORDERS_URL", got.oneLine(t))

	there, _ := services(t, map[string]any{"GET /inventory": object{"items": []object{{"sku": "brush", "price": 12.9, "currency": "USD"}}},
		"GET /notifications": object{"items": []object{}}})
	there["KAFKA_BROKERS"] = environ["KAFKA_BROKERS"]
	got = pas(t, there, "simulate")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.oneLine(t), "; check that Kafka runs at "+environ["KAFKA_BROKERS"]+", or say where it is with --brokers")

	there["PAS_NOTIFICATIONS_URL"] = environ["PAS_NOTIFICATIONS_URL"]
	require.Contains(t, pas(t, there, "simulate", "--no-events").oneLine(t), "cannot reach notifications at")

	there, _ = services(t, map[string]any{"GET /inventory": object{"items": []object{}}, "GET /notifications": object{"items": []object{}}})
	require.Contains(t, pas(t, there, "simulate", "--no-events").oneLine(t), "the catalogue has no product with a price; add one with `pas inventory put`")
}

func TestSimulateGivesUpOnAServiceThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	environ := everywhere("http://" + l.Addr().String())
	environ["KAFKA_BROKERS"] = l.Addr().String()
	got := impatient(t, environ, "simulate")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.oneLine(t), "cannot reach orders at http://"+l.Addr().String()+": no answer in time")
}

func TestSimulateWithoutOneOrderTakenFails(t *testing.T) {
	t.Parallel()
	environ, asked := services(t, map[string]any{"GET /inventory": object{"items": []object{{"sku": "brush", "price": 12.9, "currency": "USD"}}},
		"GET /notifications": object{"items": []object{}}, "POST /orders": problem{Status: 422, Title: "no"}})
	got := pas(t, environ, "simulate", "--no-events", "--rate", "20", "--duration", "1s", "--seed", "1")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.stdout, fmt.Sprintf("answers        0 taken, %d 422\n", asked("POST /orders")))
	require.Contains(t, got.stderr, "pas: not one order was taken;")
}

func TestSimulateThatIsInterruptedShowsItsSummary(t *testing.T) {
	t.Parallel()
	environ, asked := services(t, map[string]any{"GET /inventory": object{"items": []object{{"sku": "brush", "price": 12.9, "currency": "USD"}}},
		"GET /notifications": object{"items": []object{}}, "POST /orders": object{"order_id": "x"}})
	running := follow(t, environ, "simulate", "--no-events", "--rate", "50", "--duration", "1h", "--seed", "1", "--run", "cut", "--flat")
	require.Eventually(t, func() bool { return asked("POST /orders") > 0 }, 30*time.Second, 20*time.Millisecond)
	running.interrupt()
	require.Contains(t, running.line(t), "Run cut, seed 1: ")
	lines := make(chan struct{})
	go func() {
		defer close(lines)
		for {
			if _, err := running.stdout.ReadString('\n'); err != nil {
				return
			}
		}
	}()
	require.Equal(t, cli.ExitOK, <-running.ended)
	<-lines
}
