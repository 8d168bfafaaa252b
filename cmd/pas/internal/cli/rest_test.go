package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

func TestRESTRefusesWrongFlags(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		"--brokers kafka":              `--brokers: "kafka" is not host:port`,
		"--allow a/b":                  `--allow: "a/b" is not the name of a topic: use letters, digits, '.', '_' and '-'`,
		"--base-url kafka.example.com": `--base-url: "kafka.example.com" is not an address such as https://kafka.example.com or https://example.com/kafka`,
		"--allowed-host a:1":           `--allowed-host: "a:1" is not a name such as shop.example.com or *.example.com`,
		"--addr 8082":                  `--addr "8082" is not host:port, such as 127.0.0.1:8082`,
		"--addr 0.0.0.0:8082":          "--addr 0.0.0.0:8082 can be reached from other machines, and nobody is asked for a token: give --token-file, or an address of this machine",
		"--token-file /nowhere":        "--token-file: open /nowhere: no such file or directory",
		"--token-file f --allow a":     "--allow and --token-file do not go together: the file says which topics each token may write",
		"--idle 0s":                    `--idle 0s is not more than 0`,
		"--idle soon":                  `invalid argument "soon" for "--idle" flag: time: invalid duration "soon"; see ` + "`pas rest --help`",
		"--max-consumers 0":            `--max-consumers 0 is less than 1`,
		"orders":                       `unknown command "orders" for "pas rest"; usage: pas rest [flags]`,
		"--topic-prefix abc":           "unknown flag: --topic-prefix; see `pas rest --help`",
	} {
		got := pas(t, nil, append([]string{"rest"}, strings.Fields(arguments)...)...)
		require.Equal(t, want, got.oneLine(t))
		require.Equal(t, cli.ExitUsage, got.code, arguments)
	}
}

func TestRESTWithoutKafkaOrItsPortSaysSoInOneLine(t *testing.T) {
	t.Parallel()
	got := pas(t, nowhere(t), "rest")
	require.Contains(t, got.oneLine(t), "connection refused; check that Kafka runs at 127.0.0.1:")
	require.Equal(t, cli.ExitFailure, got.code)

	// A Kafka that takes connections and never answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	got = impatient(t, nil, "rest", "--brokers", l.Addr().String())
	require.Contains(t, got.oneLine(t), "or say where it is with --brokers or KAFKA_BROKERS")
	require.Equal(t, cli.ExitFailure, got.code)

	got = pas(t, map[string]string{"KAFKA_BROKERS": strings.Join(testkit.Brokers(t), ",")}, "rest", "--addr", l.Addr().String())
	require.Equal(t, l.Addr().String()+" is used by another program; stop that program, or choose another address with --addr", got.oneLine(t))
	require.Equal(t, cli.ExitFailure, got.code)
}

// restRun is a `pas rest` that runs until it is interrupted.
type restRun struct {
	stdout, stderr bytes.Buffer
	url            string
	interrupt      func() int // ends it and returns the exit code
}

func startREST(t *testing.T, arguments ...string) *restRun {
	t.Helper()
	return startRESTWith(t, map[string]string{"KAFKA_BROKERS": strings.Join(testkit.Brokers(t), ",")}, arguments...)
}

func startRESTWith(t *testing.T, environ map[string]string, arguments ...string) *restRun {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	run := &restRun{url: "http://" + addr}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, cli.Program{Args: append([]string{"rest", "--addr", addr}, arguments...), Stdout: &run.stdout, Stderr: &run.stderr, Environ: environ})
	}()
	code := -1
	run.interrupt = func() int {
		if code < 0 {
			cancel()
			code = <-ended
		}
		return code
	}
	t.Cleanup(func() { run.interrupt() })
	answers(t, run.url)
	return run
}

// answers waits until there is something at the URL.
func answers(t *testing.T, url string) {
	t.Helper()
	testkit.Eventually(t, func() error {
		response, err := http.Get(url)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s, %w", url, response.Status, err)
		}
		return nil
	})
}

func (r *restRun) call(t *testing.T, method, path, contentType, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Less(t, response.StatusCode, 300, string(text))
	return string(text)
}

func TestRESTServesUntilCtrlCAndSumsUp(t *testing.T) {
	t.Parallel()
	prefix := testkit.Prefix(t)
	_, err := kafka.CreateTopics(t.Context(), kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: prefix}, []kafka.TopicSpec{{Name: "web", Partitions: 1, ReplicationFactor: 1}})
	require.NoError(t, err)
	topic := prefix + "web"
	const plain, asJSON, binary = "application/vnd.kafka.v2+json", "application/vnd.kafka.json.v2+json", "application/vnd.kafka.binary.v2+json"
	use := func(run *restRun, group string) {
		answers(t, run.url+"/topics/"+topic)
		run.call(t, "POST", "/topics/"+topic, asJSON, `{"records": [{"value": {"event": "page_view"}}, {"value": 2}]}`)
		run.call(t, "POST", "/topics/"+topic, binary, `{"records": [{"value": "bm90IGpzb24="}]}`)
		run.call(t, "POST", "/consumers/"+group, plain, `{"name": "me", "format": "json", "auto.offset.reset": "earliest"}`)
		run.call(t, "POST", "/consumers/"+group+"/instances/me/subscription", plain, `{"topics": ["`+topic+`"]}`)
		require.Contains(t, run.call(t, "GET", "/consumers/"+group+"/instances/me/records?timeout=20000", plain, ""), `"value":{"event":"page_view"}`)
	}

	run := startREST(t, "--allow", topic, "--allow", "another")
	use(run, prefix+"text")
	require.Equal(t, cli.ExitOK, run.interrupt(), run.stderr.String())
	require.Contains(t, run.stdout.String(), " is served on "+run.url+"\nMay be written: "+topic+", another\nCtrl-C ends it.\n\n"+
		"3 messages produced (0 refused), 2 consumed (1 skipped: no JSON), 1 consumers (0 expired), in ")
	require.Contains(t, run.stderr.String(), "level=INFO msg=\"consumer instance created\" group="+prefix+"text instance=me\n")
	require.Contains(t, run.stderr.String(), "skipped 1 records whose value is not JSON")

	run = startREST(t, "--allow", topic, "--json")
	use(run, prefix+"json")
	require.Equal(t, cli.ExitOK, run.interrupt(), run.stderr.String())
	var view struct {
		URL                                             string
		Allow                                           []string
		Produced, Refused, Consumed, Skipped, Consumers int
		Seconds                                         float64
	}
	require.NoError(t, json.Unmarshal(run.stdout.Bytes(), &view), "one document")
	require.Equal(t, run.url, view.URL)
	require.Equal(t, []string{topic}, view.Allow)
	require.Equal(t, [5]int{3, 0, 4, 2, 1}, [5]int{view.Produced, view.Refused, view.Consumed, view.Skipped, view.Consumers})
	require.Positive(t, view.Seconds)
	for line := range strings.Lines(run.stderr.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
	require.Contains(t, run.stderr.String(), `"msg":"serving","addr":"`+strings.TrimPrefix(run.url, "http://"))
}

func TestRESTGuardsTheServicesGroups(t *testing.T) {
	t.Parallel()
	run := startREST(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, run.url+"/consumers/orders.payments", strings.NewReader(`{}`))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/vnd.kafka.v2+json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusForbidden, response.StatusCode)
	require.Equal(t, cli.ExitOK, run.interrupt())
	require.Contains(t, run.stdout.String(), "No topic may be written: allow one with --allow TOPIC.\n")
}
