package pgdb_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

// A slot whose reader stays away is lost once the server has written more than it may keep, and anyone may see it coming.
func TestASlotIsSeenToFallBehindAndToBeLost(t *testing.T) {
	t.Parallel()
	server := testkit.OwnPostgres(t, "wal_level=logical", "max_slot_wal_keep_size=32MB", "min_wal_size=32MB", "max_wal_size=32MB")
	admin, err := pgdb.Open(pgdb.Config{URL: server.AdminURL, AppName: "test"})
	require.NoError(t, err)
	t.Cleanup(admin.Close)
	run := func(pool *pgxpool.Pool, sql string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	run(admin, `CREATE ROLE reader LOGIN PASSWORD 'reader'`)
	pool, err := pgdb.Open(pgdb.Config{URL: server.URL("reader"), AppName: "test"})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(pgdb.SlotCollector(pool))
	series := func() map[string]float64 {
		families, err := reg.Gather()
		require.NoError(t, err)
		values := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				values[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
		return values
	}
	const name = "pasdetrois_postgres_replication_slot_"
	require.Empty(t, series())

	run(admin, `SELECT pg_create_logical_replication_slot('capture', 'pgoutput')`)
	fresh := series()
	require.Len(t, fresh, 4)
	require.InDelta(t, 0, fresh[name+"active capture"], 0)
	require.InDelta(t, 0, fresh[name+"lost capture"], 0)
	require.Less(t, fresh[name+"lag_bytes capture"], 1e6)
	require.InDelta(t, 40e6, fresh[name+"left_bytes capture"], 10e6)

	run(admin, `SELECT pg_switch_wal()`)
	run(admin, `SELECT pg_logical_emit_message(false, '', repeat('x', 1000000)) FROM generate_series(1, 20)`)
	behind := series()
	require.Greater(t, behind[name+"lag_bytes capture"], 18e6)
	require.Less(t, behind[name+"left_bytes capture"], fresh[name+"left_bytes capture"]-18e6)

	testkit.Eventually(t, func() error {
		run(admin, `SELECT pg_logical_emit_message(false, '', repeat('x', 1000000)) FROM generate_series(1, 20)`)
		run(admin, `CHECKPOINT`)
		if series()[name+"lost capture"] != 1 {
			return errors.New("the slot is not lost yet")
		}
		return nil
	})
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}
