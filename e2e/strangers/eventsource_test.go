//go:build clients

package strangers

import (
	"bufio"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// browser follows an order as a page does, and ends when the EventSource gave up: after 204, or after any error status.
const browser = `
const { EventSource } = require('eventsource')
const source = new EventSource(process.argv[1])
source.onopen = () => console.log('open')
for (const name of ['order_placed', 'payment_requested', 'payment_captured'])
  source.addEventListener(name, event => console.log(event.lastEventId + ' ' + JSON.parse(event.data).to))
source.onerror = error => {
  if (source.readyState === 2) { console.log('closed after ' + error.code); process.exit(0) }
}
`

// An EventSource (npm eventsource 4.1.1, with the rules of the HTML standard) that begins while Postgres is stopped gets
// every event once Postgres runs again, and is told to stop by 204. With 503 it gave up at once.
func TestAnEventSourceOutlastsAnOutageOfPostgres(t *testing.T) {
	t.Parallel()
	modules := node(t)
	server := testkit.OwnPostgres(t)
	prefix := testkit.Prefix(t)
	s, err := stack.Start(t.Context(), stack.Config{Log: slog.New(slog.DiscardHandler), DatabaseURL: server.AdminURL,
		Brokers: testkit.Brokers(t), TopicPrefix: prefix, GroupPrefix: prefix})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5"}, client.PlaceOptions{})
	require.NoError(t, err)
	order, err = s.Client().Settled(t.Context(), order.OrderID)
	require.NoError(t, err)
	require.Equal(t, "confirmed", order.Status)

	server.Stop()
	page := exec.CommandContext(t.Context(), "node", "-e", browser, s.Client().Endpoint(client.Orders).Public+"/orders/"+order.OrderID+"/events")
	page.Env, page.Stderr = append(os.Environ(), modules...), os.Stderr
	out, err := page.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, page.Start())
	lines := bufio.NewScanner(out)
	next := func() string {
		require.True(t, lines.Scan(), "the page ended: %v", lines.Err())
		return lines.Text()
	}
	require.Equal(t, "open", next(), "the database is away, and the page is not told off")
	server.Start()
	require.Equal(t, "1 pending", next())
	require.Equal(t, "2 awaiting_payment", next())
	require.Equal(t, "3 confirmed", next())
	require.Equal(t, "closed after 204", next())
	require.NoError(t, page.Wait())
}
