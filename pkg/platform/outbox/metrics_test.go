package outbox

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

func TestMetricsTellWhatIsLeftAndSinceWhen(t *testing.T) {
	t.Parallel()
	w := setup(t)
	reg := prometheus.NewRegistry()
	r := w.relay(recoverAtOnce, func(c *Config) { c.Metrics = reg })
	w.add("o", 1)
	w.add("o", 2)
	_, err := w.pool.Exec(t.Context(), `UPDATE outbox SET created_at = created_at - interval '1 minute'`)
	require.NoError(t, err)
	require.InDelta(t, 2, value(t, reg, "pasdetrois_outbox_pending"), 0)
	require.InDelta(t, 60, value(t, reg, "pasdetrois_outbox_oldest_age_seconds"), 30)

	w.sweepUntil(newSweeper(r), "o", 2)
	require.InDelta(t, 0, value(t, reg, "pasdetrois_outbox_pending"), 0)
	require.InDelta(t, 0, value(t, reg, "pasdetrois_outbox_oldest_age_seconds"), 0)
	require.InDelta(t, 2, value(t, reg, "pasdetrois_outbox_published_total"), 0)

	r.Enqueue(w.add("o", 3)) // not running
	require.InDelta(t, 1, value(t, reg, "pasdetrois_outbox_spilled_total"), 0)
}

// value returns the sum over a metric's labels. A scrape leaves out what the database does not answer in time.
func value(t *testing.T, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	testkit.Eventually(t, func() error {
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() != name {
				continue
			}
			sum = 0
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
			return nil
		}
		return fmt.Errorf("no metric %s", name)
	})
	return sum
}
