package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/internal/cli"
)

// topic makes topics of one partition each.
func topic(t *testing.T, environ map[string]string, names ...string) {
	t.Helper()
	got := pas(t, environ, append([]string{"topics", "create", "--partitions", "1"}, names...)...)
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
}

// write writes values to a topic, each "key value" or "value" alone, an hour ago when it starts with "old ".
func write(t *testing.T, environ map[string]string, topic string, values ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(environ["KAFKA_BROKERS"], ",")...))
	require.NoError(t, err)
	defer client.Close()
	for _, value := range values {
		r := &kgo.Record{Topic: environ["KAFKA_TOPIC_PREFIX"] + topic, Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte("abc")}}}
		if rest, old := strings.CutPrefix(value, "old "); old {
			value, r.Timestamp = rest, time.Now().Add(-time.Hour)
		}
		if key, rest, keyed := strings.Cut(value, " "); keyed {
			r.Key, value = []byte(key), rest
		}
		if value != "tombstone" {
			r.Value = []byte(value)
		}
		require.NoError(t, client.ProduceSync(t.Context(), r).FirstErr())
	}
}

func TestTailShowsWhatIsThereAndCountsWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	topic(t, environ, "orders", "web-events")
	write(t, environ, "orders", `1001 {"order_id":1001, "user_id":"ada", "total":5}`, `2 oops`, `3 tombstone`, "\x1b[31mred")
	write(t, environ, "web-events", `{"event":"page_view","user_id":7}`)
	read := []string{"tail", "orders", "web-events", "--from-beginning", "--no-follow"}
	read = read[:len(read):len(read)]

	got := pas(t, environ, read...)
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Regexp(t, `(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  orders/0@0  order_placed  key=1001  \{"order_id":1001,"user_id":"ada","total":5\}$`, got.stdout)
	require.Contains(t, got.stdout, "orders/0@1  -  key=2  (no JSON) oops\n")
	require.Contains(t, got.stdout, "orders/0@2  -  key=3  (no value)\n")
	require.Contains(t, got.stdout, `(no JSON) \x1b[31mred`)
	require.Contains(t, got.stdout, `web-events/0@0  page_view  {"event":"page_view","user_id":7}`)
	require.NotContains(t, got.stdout, "trace")
	require.Equal(t, "Reading orders, web-events; Ctrl-C ends.\nRead 5: 5 shown, 0 skipped; 2 unreadable, 1 without a value.\n", got.stderr)

	for arguments, want := range map[string]string{
		"--order 1001":            "orders/0@0",
		"--order 1002":            "",
		"--order 2":               "",
		"--user 7":                "web-events/0@0",
		"--user ada --event x":    "",
		"--event order_placed":    "orders/0@0",
		"--event page_view,other": "web-events/0@0",
		"--grep ^oo":              "orders/0@1",
		"--grep ^2$":              "orders/0@1",
		"--grep oops --user ada":  "",
	} {
		got := pas(t, environ, append(read, strings.Fields(arguments)...)...)
		require.Equal(t, cli.ExitOK, got.code, got.stderr)
		require.Contains(t, got.stdout, want, arguments)
		require.Contains(t, got.stderr, "2 unreadable, 1 without a value.")
		if want == "" {
			require.Empty(t, got.stdout, arguments)
			require.Contains(t, got.stderr, "Read 5: 0 shown, 5 skipped;")
		} else {
			require.Equal(t, 1, strings.Count(got.stdout, "\n"), arguments)
		}
	}
	require.Contains(t, pas(t, environ, append(read, "--headers", "--max", "1")...).stdout, "\n    trace: abc\n")
	require.Contains(t, pas(t, environ, append(read, "--color", "always", "--user", "7")...).stdout, "\x1b[")
}

// TestTailNamesEventsAsTheServicesDo: a type that is not ours, an old or a new version, a CloudEvent in structured mode.
func TestTailNamesEventsAsTheServicesDo(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	topic(t, environ, "orders")
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(environ["KAFKA_BROKERS"], ",")...))
	require.NoError(t, err)
	defer client.Close()
	const order = `{"order_id":42,"user_id":"u","total":5}`
	now := time.Now() // one time, so that all are in one window
	for _, r := range [][2]string{
		{"", order},
		{"com.example.order.cancelled.v1", order}, // a producer in Ruby with the SDK cloud_events 0.7
		{"pasdetrois.order_placed.v2", `{"event":"order_placed",` + order[1:]},
		{"", `{"specversion":"1.0","id":"1","source":"/shop","type":"pasdetrois.order_placed.v1","data":` + order + `}`}, // Python's cloudevents 1.11
		{"", `{"order_id":1,"order_id":2}`},
		{"", "\ufeff" + order}, // .NET's UTF8 encoding
	} {
		record := &kgo.Record{Topic: environ["KAFKA_TOPIC_PREFIX"] + "orders", Value: []byte(r[1]), Timestamp: now}
		if r[0] != "" {
			record.Headers = []kgo.RecordHeader{{Key: "ce_type", Value: []byte(r[0])}}
		}
		require.NoError(t, client.ProduceSync(t.Context(), record).FirstErr())
	}
	read := []string{"tail", "orders", "--from-beginning", "--no-follow"}
	got := pas(t, environ, read...)
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	for offset, want := range []string{"order_placed", "unknown: com.example.order.cancelled.v1", "unknown: pasdetrois.order_placed.v2",
		"order_placed", `-  (duplicate key) {"order_id":1,"order_id":2}`, "order_placed  " + order} {
		require.Contains(t, got.stdout, fmt.Sprintf("orders/0@%d  %s", offset, want))
	}
	require.Contains(t, got.stderr, "Read 6: 6 shown, 0 skipped; 1 unreadable.\n")
	require.Contains(t, pas(t, environ, append(read, "--event", "unknown")...).stderr, "Read 6: 2 shown")
	require.Contains(t, pas(t, environ, append(read, "--order", "42")...).stderr, "Read 6: 5 shown")

	windows := pas(t, environ, "windows", "orders", "--from-beginning", "--no-follow", "--json")
	require.Equal(t, cli.ExitOK, windows.code, windows.stderr)
	require.Contains(t, windows.stderr, "Read 6: 5 counted, 0 late, 1 no JSON;")
	require.Contains(t, windows.stdout, `{"event":"unknown: com.example.order.cancelled.v1","count":1`)
	require.Contains(t, windows.stdout, `{"event":"order_placed","count":3,`)
}

func TestTailWithJSONIsOneDocumentALine(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	topic(t, environ, "payments")
	write(t, environ, "payments", `1001 {"event": "payment_captured", "amount": 12345678901234567890.10}`, "oops", "a \xff\xfe")
	got := pas(t, environ, "tail", "payments", "--from-beginning", "--no-follow", "--json", "--headers")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	require.Len(t, lines, 3)
	var document object
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &document))
	require.Equal(t, "payments", document["topic"])
	require.Equal(t, "1001", document["key"])
	require.Equal(t, "payment_captured", document["event"])
	require.Equal(t, []any{object{"key": "trace", "value": "abc"}}, document["headers"])
	require.Contains(t, lines[0], `"value":{"event":"payment_captured","amount":12345678901234567890.10}`)
	require.Contains(t, lines[1], `"text":"oops"`)
	require.Contains(t, lines[2], `"value_base64":"//4="`)
}

func TestTailSinceBeginsWithWhatIsNoOlder(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	topic(t, environ, "payments")
	write(t, environ, "payments", `old {"n":1}`, `old {"n":2}`, `{"n":3}`)
	got := pas(t, environ, "tail", "payments", "--since", "30m", "--no-follow")
	require.Contains(t, got.stdout, `{"n":3}`)
	require.Contains(t, got.stderr, "Read 1: 1 shown")
	require.Contains(t, pas(t, environ, "tail", "payments", "--since", "2h", "--no-follow").stderr, "Read 3: 3 shown")
	require.Contains(t, pas(t, environ, "tail", "payments", "--no-follow").stderr, "Read 0: 0 shown")
}

// TestTailFollowsUntilItIsInterrupted: what is written once it says that it reads is shown, and Ctrl-C is no failure.
func TestTailFollowsUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	topic(t, environ, "orders")
	write(t, environ, "orders", `before {}`)
	following := follow(t, environ, "tail", "orders")
	require.Equal(t, "Reading orders; Ctrl-C ends.", following.note(t))
	write(t, environ, "orders", `after {}`)
	require.Contains(t, following.line(t), "key=after")
	following.interrupt()
	require.Equal(t, "Read 1: 1 shown, 0 skipped; 0 unreadable.", following.note(t))
	require.Equal(t, cli.ExitOK, <-following.ended)
}

// TestTailInAGroupGoesOnWhereItStopped: --max leaves the rest of what was fetched to the group's next run.
func TestTailInAGroupGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	topic(t, environ, "orders")
	write(t, environ, "orders", `1 {}`, `2 {}`, `3 {}`)
	group := environ["KAFKA_TOPIC_PREFIX"] + "watchers"
	for _, want := range []string{"key=1", "key=2", "key=3"} {
		got := pas(t, environ, "tail", "orders", "--group", group, "--from-beginning", "--max", "1")
		require.Equal(t, cli.ExitOK, got.code, got.stderr)
		require.Contains(t, got.stdout, want)
		require.Equal(t, 1, strings.Count(got.stdout, "\n"))
	}
}

func TestTailOfAnUnknownTopicSaysWhichExist(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	topic(t, environ, "orders", "payments")
	got := pas(t, environ, "tail", "orders", "ordres")
	require.Equal(t, "there is no topic \"ordres\"; there are orders, payments; create it with `pas topics create ordres --partitions 1`", got.oneLine(t))
	require.Equal(t, cli.ExitFailure, got.code)
}

// following is a run of the tool that goes on until it is interrupted.
type following struct {
	interrupt     context.CancelFunc
	ended         chan int
	stdout, notes *bufio.Reader
}

func follow(t *testing.T, environ map[string]string, args ...string) following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, out := io.Pipe()
	notes, errs := io.Pipe()
	f := following{cancel, make(chan int, 1), bufio.NewReader(stdout), bufio.NewReader(notes)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.ended <- cli.Run(ctx, cli.Program{Args: args, Environ: environ, Stdout: out, Stderr: errs, Patience: patience, NoticeAfter: silence})
		_ = out.Close()
		_ = errs.Close()
	}()
	t.Cleanup(func() {
		cancel()
		_ = stdout.Close()
		_ = notes.Close()
		<-done
	})
	return f
}

func (f following) line(t *testing.T) string { return nextLine(t, f.stdout) }
func (f following) note(t *testing.T) string { return nextLine(t, f.notes) }

func nextLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadBytes('\n')
	require.NoError(t, err)
	return string(bytes.TrimSuffix(line, []byte("\n")))
}
