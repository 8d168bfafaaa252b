package restproxy_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/restproxy"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// No Kafka client is needed: an order written and its outcome read by plain HTTP.
func TestAnOrderPostedToTheTopicIsConfirmedAndItsMessagesAreReadOverHTTP(t *testing.T) {
	t.Parallel()
	s, err := stack.Start(t.Context(), stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	l, err := stack.Listen("rest", 0)
	require.NoError(t, err)
	proxy, err := restproxy.Start(s, l, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(proxy.Stop)
	call := func(method, path, contentType, body string) string {
		request, err := http.NewRequestWithContext(t.Context(), method, proxy.URL()+path, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", contentType)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Less(t, answer.StatusCode, 300, string(text))
		return string(text)
	}
	const plain = "application/vnd.kafka.v2+json"
	call("POST", "/consumers/guide", plain, `{"name": "me", "format": "json", "auto.offset.reset": "earliest"}`)
	call("POST", "/consumers/guide/instances/me/subscription", plain, `{"topics": ["orders", "payments", "notifications"]}`)
	call("POST", "/topics/orders", "application/vnd.kafka.json.v2+json",
		`{"records": [{"value": {"order_id": "by-http-1", "user_id": "ada", "total": 49.99}}]}`)

	testkit.Eventually(t, func() error {
		order, err := s.Client().Order(t.Context(), "by-http-1", 0)
		if err == nil && order.Status != "confirmed" {
			err = fmt.Errorf("it is %s", order.Status)
		}
		return err
	})
	seen := ""
	testkit.Eventually(t, func() error {
		seen += call("GET", "/consumers/guide/instances/me/records?timeout=1000", plain, "")
		for _, event := range []string{`"user_id":"ada"`, "payment_requested", "payment_captured", "Order by-http-1 confirmed!"} {
			if !strings.Contains(seen, event) {
				return fmt.Errorf("%s is not in %s", event, seen)
			}
		}
		return nil
	})
	require.Equal(t, []string{"p.orders.orders", "p.orders.payments", "p.orders.order-failures", "p.payments.payments", "p.notifications.notifications"},
		stack.Groups("p."))
}
