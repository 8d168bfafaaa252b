package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A service on a busy machine answers 503 and when to come back. The client comes back, with the same key.
func TestABusyServiceIsAskedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		call  func(c *Client) error
		asked int
	}{
		"place": {func(c *Client) error {
			_, _, err := c.Place(t.Context(), NewOrder{UserID: "ada", Total: "5"}, PlaceOptions{})
			return err
		}, 2},
		"restock":   {func(c *Client) error { _, err := c.Restock(t.Context(), "x", 1); return err }, 2},
		"cancel":    {func(c *Client) error { _, err := c.Cancel(t.Context(), "o"); return err }, 2},
		"republish": {func(c *Client) error { _, err := c.Republish(t.Context(), "o"); return err }, 2},
		"republish placed": {func(c *Client) error {
			_, _, err := c.RepublishPlaced(t.Context(), time.Unix(0, 0), time.Time{}, 1, "")
			return err
		}, 2},
		"show":   {func(c *Client) error { _, err := c.Order(t.Context(), "o", 0); return err }, 2},
		"ready":  {func(c *Client) error { return c.Ready(t.Context(), Orders) }, 1},
		"replay": {func(c *Client) error { _, err := c.ReplayDeadLetter(t.Context(), Orders, 1); return err }, 1},
		"crowd": {func(c *Client) error {
			c.once = true
			_, err := c.Order(t.Context(), "o", 0)
			return err
		}, 1},
		"little time": {func(c *Client) error {
			c.answerTime = 500 * time.Millisecond
			_, err := c.Order(t.Context(), "o", 0)
			return err
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := make(chan string, 10)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				keys <- r.Header.Get("Idempotency-Key")
				w.Header().Set("Content-Type", "application/json")
				if len(keys) == 1 {
					w.Header().Set("Retry-After", "1")
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				_, _ = fmt.Fprint(w, "{}")
			}))
			defer server.Close()
			client := New(Endpoints{Orders: {Public: server.URL, Admin: server.URL}})
			defer client.Close()
			err := c.call(client)
			require.Len(t, keys, c.asked)
			if c.asked == 1 {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, <-keys, <-keys)
		})
	}
}
