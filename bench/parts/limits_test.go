package parts

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheOutputOfPgbenchIsRead(t *testing.T) {
	t.Parallel()
	v, err := readTPS("number of failed transactions: 0\nlatency average = 6.3 ms\ntps = 5043.124512 (without initial connection time)\n")
	require.NoError(t, err)
	require.InDelta(t, 5043.12, v, 0.01)
	_, err = readTPS("pgbench: error")
	require.Error(t, err)
}

func TestMissingToolsAreReported(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"", "no/such/script"} {
		_, err := Tools{Script: script}.Producer(t.Context(), "t", 1)
		require.ErrorIs(t, err, ErrMissing)
		_, _, err = Tools{Script: script}.Latency(t.Context(), "t", 1)
		require.ErrorIs(t, err, ErrMissing)
	}
}

func TestTheNoOpHandlerReadsItsOrder(t *testing.T) {
	t.Parallel()
	for body, status := range map[string]int{
		`{"user_id":"u","items":[{"sku":"s","quantity":1}]}`: http.StatusAccepted,
		`{"user_id":"u"}`: http.StatusBadRequest,
		`nonsense`:        http.StatusBadRequest,
	} {
		w := httptest.NewRecorder()
		keep(nothing).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", strings.NewReader(body)))
		require.Equal(t, status, w.Code, body)
	}
}

func TestCoalescingALoneCallCostsMicroseconds(t *testing.T) {
	t.Parallel()
	d, err := Coalescing(t.Context(), 2000)
	require.NoError(t, err)
	require.Positive(t, d)
}
