package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/store"
)

func TestProductsAreFoundAtOnceHoweverOftenTheyChangedBesideAnOpenTransaction(t *testing.T) {
	t.Parallel()
	database := testkit.Database(t, migrations.Up)
	db := database.OneConn(t, "orders")
	const sku, changes = "vinyl-swan-lake", 2000
	skus := []string{sku}
	database.OpenTransaction(t)
	_, err := db.Exec(t.Context(), fmt.Sprintf(`DO $$ BEGIN FOR v IN 0..%d LOOP
		UPDATE inventory SET version = version + 1 WHERE sku = '%s' AND version = v;
	END LOOP; END $$`, changes-1, sku))
	require.NoError(t, err)
	testkit.Admin(t, db, `ANALYZE inventory`) // it looks small now, and its index large
	var version int64
	require.NoError(t, db.QueryRow(t.Context(), `SELECT version FROM inventory WHERE sku = $1`, sku).Scan(&version))
	require.EqualValues(t, changes, version)
	for what, entries := range map[string]int64{
		"read": testkit.IndexEntries(t, db, store.CatalogueSQL, skus),
		"lock": testkit.IndexEntries(t, db, store.LockProductsSQL, skus),
		"move": testkit.IndexEntries(t, db, store.MoveStockSQL, skus, []int64{version}, []int64{-1}, []int64{1}, []int64{0}),
	} {
		require.Positive(t, entries)
		require.Less(t, entries, int64(10), "index entries gone over to %s", what)
	}
}

// A statement keeps the plan that it was given when its table was empty.
func TestRowsAreFoundAtOnceInTablesThatGrew(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrations.Up).OneConn(t, "orders")
	old := time.Now().Add(-time.Hour)
	read := func() map[string]int64 {
		return map[string]int64{
			"held messages":    testkit.IndexEntries(t, db, store.HeldSQL, []string{"o-7"}),
			"idempotency keys": testkit.IndexEntries(t, db, store.PruneKeysSQL, old, 10),
		}
	}
	testkit.Admin(t, db, `ANALYZE held_messages, idempotency_keys`)
	read()
	_, err := db.Exec(t.Context(), `INSERT INTO held_messages (order_id, event, topic, partition, record_offset, record_time, held_at)
SELECT 'o-' || n, 'payment_captured', 'payments', 0, n, now() + n * interval '1 ms', now() FROM generate_series(1, 2000) n`)
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), `INSERT INTO idempotency_keys (key, request_hash, status_code, location, etag, body, created_at)
SELECT 'k-' || n, '', 202, '', '', '', now() FROM generate_series(1, 2000) n`)
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), `UPDATE idempotency_keys SET created_at = $1 WHERE key = 'k-7'`, old.Add(-time.Hour))
	require.NoError(t, err)
	for what, entries := range read() {
		require.Positive(t, entries)
		require.Less(t, entries, int64(10), "index entries gone over to find %s", what)
	}
}

func TestOneRowForAProductThatIsPutByManyAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var many sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for i := range 8 {
		many.Go(func() {
			_, isNew, err := w.put("tutu", "Tutu", messages.Money{Minor: int64(100 + i), Currency: "USD"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if isNew {
				created++
			}
		})
	}
	many.Wait()
	require.Equal(t, 1, created)
	w.violates("inventory_sku_once", `INSERT INTO inventory (sku, name, price_minor, currency, version) VALUES ('tutu', 'Tutu', 1, 'USD', 99)`)
	w.violates("inventory_sku_once", `UPDATE inventory SET sku = 'tutu', version = 99 WHERE sku = 'record-brush'`)
}
