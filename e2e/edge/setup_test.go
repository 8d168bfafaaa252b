// Package edge_test attacks the servers as a web page of a stranger would: every operation with the headers of a browser, and
// in a real Chromium (`make test SUITE=edge`).
package edge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/restproxy"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/windows"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// site is a whole installation without logins on loopback, as `pas up` starts it, with the chart of `pas windows --serve`. Payments
// stands still, so the order stays open. A dead letter is parked.
type site struct {
	t      *testing.T
	client *client.Client
	admin  *kadm.Client
	order  client.Order
	letter int64
	rest   string // URLs without a path
	chart  string
	ends   map[int32]int64 // of the topic orders
}

func setup(t *testing.T) *site {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	st, err := stack.Start(ctx, stack.Config{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Stop()) })
	require.NoError(t, st.StopService(ctx, client.Payments))
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		return l
	}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(st.Brokers()...))
	require.NoError(t, err)
	t.Cleanup(kafka.Close)
	proxy, err := restproxy.Start(st, listen(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(proxy.Stop)
	page, charted := listen(), make(chan error, 1)
	serving, stop := context.WithCancel(context.Background())
	go func() { charted <- windows.NewPage().Serve(serving, page, httpx.Edge{}, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-charted) })

	s := &site{t: t, client: st.Client(), admin: kadm.NewClient(kafka), rest: proxy.URL(), chart: "http://" + page.Addr().String()}
	s.order, _, err = s.client.Place(ctx, client.NewOrder{UserID: "ada", Total: "49.99"}, client.PlaceOptions{})
	require.NoError(t, err)
	status, body := s.call(http.MethodPost, s.rest+"/topics/orders", `{"records":[{"value":{"event":"order_placed"}}]}`,
		"Content-Type", "application/vnd.kafka.json.v2+json")
	require.Equal(t, http.StatusOK, status, body)
	testkit.Eventually(t, func() error {
		letters, err := s.client.DeadLetters(ctx, client.Orders, "parked", 10)
		if err == nil && len(letters) == 0 {
			err = errors.New("no dead letter yet")
		}
		for _, l := range letters {
			s.letter = l.ID
		}
		return err
	})
	testkit.Eventually(t, func() error {
		var records int64
		s.ends = s.offsets()
		for _, end := range s.ends {
			records += end
		}
		if records < 2 {
			return errors.New("the request for the order's payment is not in the topic yet")
		}
		return nil
	})
	return s
}

// offsets returns the end of each partition of the topic orders.
func (s *site) offsets() map[int32]int64 {
	s.t.Helper()
	ends, err := s.admin.ListEndOffsets(s.t.Context(), messages.TopicOrders)
	require.NoError(s.t, err)
	require.NoError(s.t, ends.Error())
	all := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) { all[o.Partition] = o.Offset })
	require.NotEmpty(s.t, all)
	return all
}

// call sends a request as curl does, with pairs of header names and values.
func (s *site) call(method, url, body string, header ...string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	require.NoError(s.t, err)
	return answer.StatusCode, string(text)
}

// untouched checks that nothing of what an attacker tried has happened.
func (s *site) untouched() {
	s.t.Helper()
	order, err := s.client.Order(s.t.Context(), s.order.OrderID, 0)
	require.NoError(s.t, err)
	require.Contains(s.t, []string{"pending", "awaiting_payment"}, order.Status, "the order was cancelled")
	orders, err := s.client.OrdersOf(s.t.Context(), "mallory")
	require.NoError(s.t, err)
	require.Empty(s.t, orders, "an order was placed")
	consumers, err := s.client.Consumers(s.t.Context(), client.Orders)
	require.NoError(s.t, err)
	require.NotContains(s.t, fmt.Sprintf("%+v", consumers), "paused", "the consumers were paused")
	letter, err := s.client.DeadLetter(s.t.Context(), client.Orders, s.letter)
	require.NoError(s.t, err)
	require.Equal(s.t, "parked", letter.State, "the dead letter was discarded")
	require.Equal(s.t, s.ends, s.offsets(), "a record was written")
}
