package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments/internal/store"
)

// What one user may see is found by an index, among the rows of all others, also where users are few.
func TestPaymentsOfAUserAreFoundAtOnceAmongThoseOfOthers(t *testing.T) {
	t.Parallel()
	database := testkit.Database(t, migrations.Up)
	db, admin := database.OneConn(t, "payments"), database.OneConn(t, "")
	for _, sql := range []string{
		`INSERT INTO payments.payments (order_id, user_id, amount_minor, currency, status, payment_id, created_at, updated_at)
		SELECT 'o-' || n, CASE WHEN n % 5000 = 7 THEN 'ada' ELSE 'u-' || n % 3 END, 1, 'USD', 'captured', 'p', now() + n * interval '1 ms', now()
		FROM generate_series(1, 20000) n`,
		`ANALYZE payments.payments`,
	} {
		_, err := admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	begin := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 8 { // a statement gets its final plan at its sixth run
		for name, entries := range map[string]int64{
			"payment": testkit.IndexEntries(t, db, store.PaymentOfSQL, "o-7", "ada"),
			"list":    testkit.IndexEntries(t, db, store.ListOfUserSQL, begin, "", 51, "ada"),
		} {
			require.Positive(t, entries, name)
			require.Less(t, entries, int64(10), "index entries gone over for the %s", name)
		}
	}
}
