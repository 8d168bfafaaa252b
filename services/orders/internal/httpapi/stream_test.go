package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/httpapi"
)

// follower reads a stream of events.
type follower struct {
	blocks chan string // one event or comment each; closed at the stream's end
	leave  func()
}

// follow opens the stream of the order "o".
func (s *site) follow(t *testing.T, lastEventID string) *follower {
	t.Helper()
	return s.followed(t, "o", lastEventID)
}

// followed opens the stream of an order; header is pairs of name and value.
func (s *site) followed(t *testing.T, orderID, lastEventID string, header ...string) *follower {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.publicURL+"/orders/"+orderID+"/events", nil)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	if lastEventID != "" {
		r.Header.Set("Last-Event-ID", lastEventID)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(r)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	f := &follower{blocks: make(chan string, 1000), leave: leave}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(f.blocks)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		var block []string
		for lines.Scan() {
			if lines.Text() != "" {
				block = append(block, lines.Text())
				continue
			}
			f.blocks <- strings.Join(block, "\n")
			block = nil
		}
	}()
	t.Cleanup(func() {
		leave()
		<-ended
	})
	return f
}

// next returns the next event or comment, or "" at the stream's end.
func (f *follower) next(t *testing.T) string {
	t.Helper()
	select {
	case block := <-f.blocks:
		return block
	case <-time.After(30 * time.Second):
		require.FailNow(t, "nothing comes")
		return ""
	}
}

// event returns number and status of the next event, as "1 pending"; "" at the stream's end.
func (f *follower) event(t *testing.T) string {
	t.Helper()
	for {
		block := f.next(t)
		if strings.HasPrefix(block, ":") {
			continue
		}
		if block == "" {
			return ""
		}
		lines := strings.Split(block, "\n")
		require.Len(t, lines, 3, block)
		var change httpapi.Change
		require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(lines[2], "data: ")), &change), block)
		require.Equal(t, []string{"id: " + strconv.FormatInt(change.Number, 10), "event: " + change.Event}, lines[:2])
		return strconv.FormatInt(change.Number, 10) + " " + change.To
	}
}

// place places the order "o".
func (s *site) place(t *testing.T) {
	t.Helper()
	a := got(t, s.insists(t, "POST", "/orders", order))
	require.Contains(t, []int{202, 200}, a.status, a.body) // 200: the 503 before it did not say that the order had been taken
}

func TestStreamTellsEachChangeOnceAndEndsWithTheOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.place(t)
	f := s.follow(t, "")
	require.Equal(t, "1 pending", f.event(t))
	deliver(t, s.OnOrderPlaced, placed())
	require.Equal(t, "2 awaiting_payment", f.event(t))
	deliver(t, s.OnPaymentCaptured, captured())
	require.Equal(t, "3 confirmed", f.event(t))
	require.Empty(t, f.event(t), "the order is settled")

	f = s.follow(t, "0")
	for _, want := range []string{"1 pending", "2 awaiting_payment", "3 confirmed", ""} {
		require.Equal(t, want, f.event(t))
	}
}

func TestStreamResumesWithoutLossOrRepetition(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.place(t)
	f := s.follow(t, "")
	require.Equal(t, "1 pending", f.event(t))
	f.leave()
	deliver(t, s.OnOrderPlaced, placed()) // while nobody listens
	f = s.follow(t, "1")
	require.Equal(t, "2 awaiting_payment", f.event(t))
	f.leave()
	f = s.follow(t, "2") // nothing new yet
	deliver(t, s.OnPaymentCaptured, captured())
	require.Equal(t, "3 confirmed", f.event(t))
	require.Empty(t, f.event(t))

	// An EventSource comes back until it is told that there is nothing more.
	a := s.do(t, "GET", "/orders/o/events", "", "Accept", "text/event-stream", "Last-Event-ID", "3")
	require.Equal(t, 204, a.status)
	require.Empty(t, a.body)

	// A confirmed order can still be called off: then there is more.
	require.Equal(t, 202, s.do(t, "POST", "/orders/o/cancel", "").status)
	f = s.follow(t, "3")
	require.Equal(t, "4 cancelling", f.event(t))
}

func TestStreamRefusesALastEventIDThatIsNone(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.place(t)
	for _, bad := range []string{"x", "-1", "1.0", "2", "99999999999999999999"} {
		a := s.do(t, "GET", "/orders/o/events", "", "Accept", "text/event-stream", "Last-Event-ID", bad)
		requireProblem(t, a, 400, "header.Last-Event-ID")
	}
	a := s.do(t, "GET", "/orders/nobody/events", "", "Accept", "text/event-stream", "Last-Event-ID", "1")
	requireProblem(t, a, 404, "")
}

func TestStreamShowsThatItLives(t *testing.T) {
	t.Parallel()
	s := over(t, testkit.Database(t, migrations.Up).Pool(t, "orders"), httpapi.SetHeartbeat(20*time.Millisecond))
	s.place(t)
	f := s.follow(t, "1")
	for range 3 {
		require.Equal(t, ": still here", f.next(t))
	}
	deliver(t, s.OnOrderPlaced, placed())
	require.Equal(t, "2 awaiting_payment", f.event(t))
}

func TestStreamIsFreedWhenItsClientLeaves(t *testing.T) {
	t.Parallel()
	// No heartbeat would find out that there is nobody.
	s := over(t, testkit.Database(t, migrations.Up).Pool(t, "orders"), httpapi.SetHeartbeat(time.Hour))
	s.place(t)
	var all []*follower
	for range 20 {
		all = append(all, s.follow(t, ""))
	}
	require.EqualValues(t, 20, s.inFlight.Load())
	s.quiet(t)
	for _, f := range all {
		f.leave()
	}
	s.idle(t)
}

// A client that reads nothing would otherwise hold its stream for as long as its connection stands.
func TestStreamIsFreedWhenItsClientReadsNothing(t *testing.T) {
	t.Parallel()
	s := over(t, testkit.Database(t, migrations.Up).Pool(t, "orders"), httpapi.SetWriteWithin(300*time.Millisecond))
	s.place(t)
	_, err := s.db.Exec(t.Context(), `UPDATE order_events SET detail = repeat('x', 30000000)`) // no socket buffers that much
	require.NoError(t, err)
	site, err := url.Parse(s.publicURL)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", site.Host)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("GET /orders/o/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"))
	require.NoError(t, err)
	testkit.Eventually(t, func() error { // its first bytes
		_, err := conn.Read(make([]byte, 1))
		return err
	})
	s.idle(t)
}

func TestStreamEndsWhenTheServerDrains(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.place(t)
	f := s.follow(t, "")
	require.Equal(t, "1 pending", f.event(t))
	s.stop() // expects that the server stops in time
	require.Empty(t, f.event(t))
}

func TestHeadOfAStreamIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	s := over(t, testkit.Database(t, migrations.Up).Pool(t, "orders"), httpapi.SetHeartbeat(time.Hour))
	s.place(t)
	a := s.do(t, "HEAD", "/orders/o/events", "", "Accept", "text/event-stream")
	require.Equal(t, 200, a.status)
	require.Equal(t, "text/event-stream", a.header.Get("Content-Type"))
	s.idle(t)
}

func TestTimelineIsJSONUnlessAStreamIsAskedFor(t *testing.T) {
	t.Parallel()
	const stream, json, none = "stream", "json", "none"
	for accept, want := range map[string]string{
		"": json, "*/*": json, "application/json": json, "application/*": json,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": json,
		"text/event-stream": stream, "Text/Event-Stream": stream, "text/event-stream, */*": stream,
		"text/event-stream;charset=utf-8, */*;q=0.1": stream, "application/json;q=0.5, text/event-stream": stream,
		"application/json, text/event-stream;q=0.5": json, "text/event-stream;q=0, */*": json,
		"application/json;q=0.1, */*, text/event-stream;q=0.2": stream,
		"text/html": none, "application/json;q=0": none, "text/event-stream;q=0": none, "nonsense": none, "application/json;q=x": none,
	} {
		got := none
		switch wantsStream, ok := httpapi.WantsStream(accept); {
		case wantsStream:
			got = stream
		case ok:
			got = json
		}
		require.Equal(t, want, got, "Accept: %s", accept)
	}

	s := setup(t)
	s.place(t)
	for _, accept := range []string{"*/*", "application/json"} {
		a := s.do(t, "GET", "/orders/o/events", "", "Accept", accept, "Last-Event-ID", "1")
		require.Equal(t, 200, a.status, a.body)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		require.Contains(t, a.body, `{"items":[{"number":1,"event":"order_placed","to":"pending"`)
	}
	requireProblem(t, s.do(t, "GET", "/orders/o/events", "", "Accept", "text/html"), 406, "text/event-stream")
}
