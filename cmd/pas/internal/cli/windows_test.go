package cli_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
)

// shop writes two minutes of events, one of them late, and one that is no JSON.
func shop(t *testing.T, environ map[string]string) {
	t.Helper()
	topic(t, environ, "web-events")
	write(t, environ, "web-events",
		`{"event":"page_view","timestamp":"2026-03-01T12:00:01Z"}`, `{"event":"page_view","timestamp":"2026-03-01T12:00:02Z"}`,
		`{"event":"checkout","amount":19.99,"timestamp":"2026-03-01T12:00:03Z"}`,
		`{"event":"page_view","timestamp":"2026-03-01T12:01:30Z"}`, `oops`, `{"event":"page_view","timestamp":"2026-03-01T12:00:04Z"}`)
}

func TestWindowsShowsBarsMostCommonFirstAndASummary(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	shop(t, environ)
	got := pas(t, environ, "windows", "web-events", "--from-beginning", "--no-follow")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	bar := strings.Repeat("█", 40)
	require.Equal(t, `2026-03-01 12:00:00 to 12:01:00 UTC  3 events, 1 late
  page_view  2  `+bar+`  +1 late
  checkout   1  `+bar[:3*20]+`  19.99 USD
2026-03-01 12:01:00 to 12:02:00 UTC  1 events
  page_view  1  `+bar+"\n", got.stdout)
	require.Equal(t, "Counting web-events in windows of 1m; Ctrl-C ends.\n"+
		"Read 6: 4 counted, 1 late, 1 no JSON; 0 amounts unreadable, 0 times too far ahead; 2 windows closed, 0 still open.\n", got.stderr)

	got = pas(t, environ, "windows", "web-events", "--from-beginning", "--no-follow", "--json", "--size", "1h", "--grace", "100h")
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	require.Len(t, lines, 1)
	require.JSONEq(t, `{"start":"2026-03-01T12:00:00Z","end":"2026-03-01T13:00:00Z","count":5,"late":0,"events":[
		{"event":"page_view","count":4,"late":0},{"event":"checkout","count":1,"late":0,"sums":[{"currency":"USD","amount":19.99}]}]}`, lines[0])
}

func TestWindowsThatAreStoredCanBeReadBack(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	environ["DATABASE_URL"] = testkit.Database(t, migrations.Up).AdminURL
	got := pas(t, environ, "windows", "history")
	require.Equal(t, "no windows are stored here; store some with `pas windows TOPIC… --store`", got.oneLine(t))
	require.Equal(t, cli.ExitFailure, got.code)

	shop(t, environ)
	store := []string{"windows", "web-events", "--store", "--job", "shop", "--from-beginning", "--no-follow"}
	first := pas(t, environ, store...)
	require.Equal(t, cli.ExitOK, first.code, first.stderr)
	got = pas(t, environ, "windows", "history")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	header, windows, _ := strings.Cut(got.stdout, "\n")
	require.Equal(t, "Job shop: "+environ["KAFKA_TOPIC_PREFIX"]+"web-events in windows of 1m.", header)
	require.Equal(t, first.stdout, strings.Replace(windows, "  still open", "", 1))

	again := pas(t, environ, store...)
	require.Contains(t, again.stderr, "Read 0: 0 counted")
	var view struct{ Windows []struct{ Count, Late int } }
	require.NoError(t, json.Unmarshal([]byte(pas(t, environ, "windows", "history", "--job", "shop", "--json").stdout), &view))
	require.Len(t, view.Windows, 2)
	require.Equal(t, 1, view.Windows[0].Late)
	require.Contains(t, pas(t, environ, "windows", "history", "--last", "1").stdout, "12:01:00 to 12:02:00")
	require.NotContains(t, pas(t, environ, "windows", "history", "--since", "1h").stdout, "UTC")

	got = pas(t, environ, append(store, "--size", "2m")...)
	require.Equal(t, cli.ExitUsage, got.code)
	require.Contains(t, got.oneLine(t), `job "shop" counts `+environ["KAFKA_TOPIC_PREFIX"]+"web-events in windows of 1m0s with a grace of 10s; give the same")
	require.Contains(t, pas(t, environ, "windows", "history", "--job", "x").oneLine(t), `there is no job "x"; there are shop`)
}

func TestWindowsServesAPageAndEndsWithASummary(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	shop(t, environ)
	running := follow(t, environ, "windows", "web-events", "--from-beginning", "--serve", "127.0.0.1:0", "--json")
	address := regexp.MustCompile(`http://\S+/`).FindString(running.note(t))
	require.NotEmpty(t, address)
	require.Contains(t, running.note(t), "Counting web-events")
	require.Contains(t, running.line(t), `"count":3,"late":1`)
	get := func() string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(address, "localhost", "127.0.0.1", 1)+"windows", nil)
		require.NoError(t, err)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(request)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(body)
	}
	require.Eventually(t, func() bool { return strings.Contains(get(), `"event":"checkout","count":1`) }, 30*time.Second, 10*time.Millisecond)
	running.interrupt()
	go func() { _, _ = io.Copy(io.Discard, running.stdout) }()
	require.Contains(t, running.note(t), "Read 6: 4 counted")
	require.Equal(t, cli.ExitOK, <-running.ended)
}

func TestWindowsSaysWhatItCannotUse(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	topic(t, environ, "web-events")
	require.Contains(t, pas(t, environ, "windows", "web-event").oneLine(t), `there is no topic "web-event"; there are web-events; create it with`)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	got := pas(t, environ, "windows", "web-events", "--serve", l.Addr().String())
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.oneLine(t), "address already in use; choose a free port of this machine")

	began := time.Now()
	environ["DATABASE_URL"] = nowhere(t)["DATABASE_ADMIN_URL"]
	for _, arguments := range []string{"windows web-events --store", "windows history"} {
		line := pas(t, environ, strings.Fields(arguments)...).oneLine(t)
		require.Contains(t, line, "connection refused; check host, port, database, user and password in DATABASE_URL")
		require.NotContains(t, line, "secret")
	}
	require.Less(t, time.Since(began), patience/2, "it waited for an address that refuses connections")
}
