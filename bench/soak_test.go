package main

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/bench/report"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
)

// What the soak compares rests on this: the twin's database is cleaned up as if nothing was open on the server.
func TestAnOpenTransactionHoldsBackItsOwnDatabaseOnly(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	setup := func() (string, *pgx.Conn) {
		url := testkit.Database(t, migrations.Up).AdminURL
		conn, err := pgx.Connect(ctx, url)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(ctx) })
		_, err = conn.Exec(ctx, "CREATE TABLE past AS SELECT generate_series(1, 1000) AS n")
		require.NoError(t, err)
		return url, conn
	}
	besideURL, beside := setup()
	_, apart := setup()
	forgotten, err := openTransaction(ctx, besideURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = forgotten.Close(ctx) })

	// A table of which vacuum may remove every row has no pages afterwards.
	size := func(conn *pgx.Conn) (bytes int) {
		_, err := conn.Exec(ctx, "VACUUM past")
		require.NoError(t, err)
		require.NoError(t, conn.QueryRow(ctx, "SELECT pg_relation_size('past')").Scan(&bytes))
		return bytes
	}
	gone := func(conn *pgx.Conn) {
		testkit.Eventually(t, func() error { // autovacuum may be at it at the same moment
			if bytes := size(conn); bytes > 0 {
				return fmt.Errorf("%d bytes are left", bytes)
			}
			return nil
		})
	}
	for _, conn := range []*pgx.Conn{beside, apart} {
		_, err := conn.Exec(ctx, "DELETE FROM past")
		require.NoError(t, err)
	}
	gone(apart)
	require.Positive(t, size(beside))
	_, err = forgotten.Exec(ctx, "COMMIT")
	require.NoError(t, err)
	gone(beside)
}

func TestASoakOfLessThanTenMinutesShowsBothTwinsAndGivesNoFigure(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cmd := program(t, "-rounds", "1", "-seconds", "0.1", "-clients", "8", "-arms", "pas", "-parts", "saturation,soak", "-soak", "1s", "-out", folder)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Regexp(t, `saturation apart from a transaction open for \d+s: \[\d+ \d+ \d+ \d+ \d+\] orders/s\n`, string(out))
	require.Regexp(t, `and beside it: \[\d+ \d+ \d+ \d+ \d+\] orders/s\n`, string(out))
	require.Contains(t, string(out), "G6 not measured: ")
	r := written(t, folder)
	require.Empty(t, r.Figure(report.OpenTransaction))
	require.Len(t, r.Missing, 1, "neither a loop nor an audit failed")
	require.Contains(t, r.Missing[0].Why, "the transaction was open for less than 10 minutes")
}
