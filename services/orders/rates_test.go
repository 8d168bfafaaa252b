package orders_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/auth/authtest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders"
)

// strict limits every caller to a little.
func strict(c *orders.Config) { c.RateOrders, c.RateStreams, c.RateWaits = 1, 1, 1 }

// request makes a request with a JSON body, and pairs of header names and values.
func request(t *testing.T, ctx context.Context, method, url, body string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func TestAUserWhoAsksTooMuchIsRefusedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	login := authtest.Start(t)
	w := setup(t)
	w.cfg.Auth = login.Settings()
	s := w.start(strict)
	s.Ready(http.StatusOK, `"login":"ok"`)
	ada, eve := login.Token("ada", auth.Write, auth.Read), login.Token("eve", auth.Write, auth.Read)
	ask := func(token, method, path, body string, header ...string) (*http.Response, context.CancelFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		r := request(t, ctx, method, s.Public+path, body, append(header, "Authorization", "Bearer "+token)...)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { _ = answer.Body.Close() })
		return answer, cancel
	}
	order := func(id string) string { return fmt.Sprintf(`{"order_id":%q,"total":1}`, id) }
	refused := func(answer *http.Response, limit string) {
		t.Helper()
		require.Equal(t, http.StatusTooManyRequests, answer.StatusCode)
		require.NotEmpty(t, answer.Header.Get("Retry-After"))
		require.Contains(t, answer.Header.Get("RateLimit"), fmt.Sprintf("%q;r=0", limit))
		require.Contains(t, answer.Header.Get("RateLimit-Policy"), fmt.Sprintf("%q;q=", limit))
	}

	answer, _ := ask(ada, http.MethodPost, "/orders", order("a"))
	require.Equal(t, http.StatusAccepted, answer.StatusCode)
	require.Equal(t, `"orders";q=3;w=3`, answer.Header.Get("RateLimit-Policy"))
	for i := 0; answer.StatusCode != http.StatusTooManyRequests; i++ {
		require.Less(t, i, 100, "the limit never comes")
		answer, _ = ask(ada, http.MethodPost, "/orders", order(fmt.Sprint("b", i)))
	}
	refused(answer, "orders")
	answer, _ = ask(eve, http.MethodPost, "/orders", order("e"))
	require.Equal(t, http.StatusAccepted, answer.StatusCode, "another user on the same machine")

	answer, leave := ask(ada, http.MethodGet, "/orders/a/events", "", "Accept", "text/event-stream")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	for _, accept := range []string{"text/event-stream", "TEXT/EVENT-STREAM"} {
		answer, _ = ask(ada, http.MethodGet, "/orders/a/events", "", "Accept", accept)
		refused(answer, "streams")
	}
	answer, _ = ask(eve, http.MethodGet, "/orders/e/events", "", "Accept", "text/event-stream")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	answer, _ = ask(ada, http.MethodGet, "/orders/a/events", "", "Accept", "application/json")
	require.Equal(t, http.StatusOK, answer.StatusCode, "no stream")
	leave()
	testkit.Eventually(t, func() error {
		answer, done := ask(ada, http.MethodGet, "/orders/a/events", "", "Accept", "text/event-stream")
		defer done()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("the ended stream still counts: %s", answer.Status)
		}
		return nil
	})

	held, release := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for refused := true; refused; { // the short wait below may be in work
			answer, err := http.DefaultClient.Do(request(t, held, http.MethodGet, s.Public+"/orders/a?wait=30s", "", "Authorization", "Bearer "+ada))
			if refused = err == nil && answer.StatusCode == http.StatusTooManyRequests; err == nil {
				_ = answer.Body.Close()
			}
		}
	}()
	testkit.Eventually(t, func() error { // until the wait is in work
		answer, _ := ask(ada, http.MethodGet, "/orders/a?wait=1ms", "")
		if answer.StatusCode != http.StatusTooManyRequests {
			return fmt.Errorf("no limit yet: %s", answer.Status)
		}
		refused(answer, "waits")
		return nil
	})
	answer, _ = ask(eve, http.MethodGet, "/orders/e?wait=1ms", "")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	release()
	<-ended
}

func TestNobodyIsLimitedOnLoopbackWithoutLogins(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start(strict)
	s.Ready(http.StatusOK)
	for i := range 20 {
		answer, err := http.DefaultClient.Do(request(t, t.Context(), http.MethodPost, s.Public+"/orders?wait=1ms", fmt.Sprintf(`{"order_id":"o%d","user_id":"u","total":1}`, i)))
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusAccepted, answer.StatusCode)
		require.Empty(t, answer.Header.Get("RateLimit"))
	}
}
