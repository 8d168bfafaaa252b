package pgdb_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
)

func TestCollectorTellsWhatThePoolIsDoing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pool := w.open(pgdb.Config{URL: w.admin, MaxConns: 3})
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(pgdb.Collector(pool))
	families, err := reg.Gather()
	require.NoError(t, err)
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	require.InDelta(t, 1, values["pasdetrois_postgres_pool_connections in_use"], 0)
	require.InDelta(t, 3, values["pasdetrois_postgres_pool_max_connections"], 0)
	require.InDelta(t, 1, values["pasdetrois_postgres_pool_acquires_total"], 0)
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}
