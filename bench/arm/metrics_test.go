package arm

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const scraped = `# HELP pasdetrois_batch_messages Messages in one batch, which is one transaction.
# TYPE pasdetrois_batch_messages histogram
pasdetrois_batch_messages_bucket{event="order_placed",le="1"} 10
pasdetrois_batch_messages_bucket{event="order_placed",le="2"} 13
pasdetrois_batch_messages_bucket{event="order_placed",le="+Inf"} 14
pasdetrois_batch_messages_sum{event="order_placed"} 30
pasdetrois_batch_messages_count{event="order_placed"} 14
# TYPE go_goroutines gauge
go_goroutines 42
# TYPE pasdetrois_notifications_emails_total counter
pasdetrois_notifications_emails_total{status="sent"} 1.5e+06
`

func TestMetricsAreRead(t *testing.T) {
	t.Parallel()
	text := scraped
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	m, err := scrape(t.Context(), address)
	require.NoError(t, err)
	require.InDelta(t, 42, m.value("go_goroutines", ""), 0)
	require.InDelta(t, 1_500_000, m.value("pasdetrois_notifications_emails_total", "sent"), 0)
	require.Zero(t, m.value("pasdetrois_notifications_emails_total", "failed"))
	require.Zero(t, m.value("nothing", ""))
	all := m.histograms("pasdetrois_batch_messages")
	require.Len(t, all, 1)
	h := all["order_placed"]
	require.Equal(t, []float64{10, 3, 1}, h.Counts)
	require.Equal(t, []float64{1, 2, math.MaxFloat64}, h.Bounds, "JSON has no infinity")
	require.InDelta(t, 14, h.Count(), 0)
	require.InDelta(t, 30.0/14, h.Mean(), 1e-9)

	text = "broken x\n"
	_, err = scrape(t.Context(), address)
	require.Error(t, err)
}

func TestHistogramsCountFromAMark(t *testing.T) {
	t.Parallel()
	before := Histogram{Bounds: []float64{1, 2}, Counts: []float64{1, 1}, Sum: 3}
	after := Histogram{Bounds: []float64{1, 2}, Counts: []float64{4, 2}, Sum: 8}
	require.Equal(t, Histogram{Bounds: []float64{1, 2}, Counts: []float64{3, 1}, Sum: 5}, after.plus(before, -1))
	require.Equal(t, after, after.plus(Histogram{}, -1), "what did not exist at the mark counts whole")
	require.Equal(t, after, Histogram{}.plus(after, 1))
	require.Zero(t, Histogram{}.Mean())
	require.Equal(t, []float64{4, 2}, after.Counts, "adding up changes nothing")
}
