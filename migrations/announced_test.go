package migrations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
)

// After an upgrade the sweep publishes the products that are not as the first migration made them, and no other one. A service
// of the earlier version that still runs beside the new one changes products without an event.
func TestProductsThatWereChangedWithoutAnEventAreNotAnnounced(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, migrations.UpTo(t.Context(), w.AdminURL, "orders", 131))
	conn := w.as("orders")
	do := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	open := func() []string { return w.lines(conn, `SELECT sku FROM inventory WHERE NOT announced ORDER BY sku`) }
	do(`SET search_path = orders;
UPDATE inventory SET available = available + 1, stocked = stocked + 1 WHERE sku = 'record-brush';
UPDATE inventory SET price_minor = 1 WHERE sku = 'speaker-pair';
UPDATE inventory SET available = available - 1, reserved = reserved + 1, version = version + 1 WHERE sku = 'vinyl-swan-lake';
INSERT INTO inventory (sku, name, price_minor, currency) VALUES ('tutu', 'Tutu', 1990, 'USD')`)
	require.NoError(t, migrations.UpService(t.Context(), w.AdminURL, "orders", migrations.RolesOf("orders")))
	require.Equal(t, []string{"record-brush", "speaker-pair", "tutu"}, open())

	do(`UPDATE inventory SET announced = true, version = version + 1 WHERE NOT announced`)
	require.Empty(t, open())
	do(`UPDATE inventory SET available = available + 1, stocked = stocked + 1 WHERE sku = 'turntable-classic'`)
	require.Equal(t, []string{"turntable-classic"}, open())
	do(`UPDATE inventory SET name = 'Turntable', version = version + 1, announced = true WHERE sku = 'turntable-classic'`)
	require.Empty(t, open())
	do(`UPDATE inventory SET available = available - 1, reserved = reserved + 1, version = version + 1 WHERE available > 0`)
	require.Empty(t, open(), "moves of pieces are no changes of products")
}
