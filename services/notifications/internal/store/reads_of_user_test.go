package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications/internal/store"
)

// What one user may see is found by an index, among the rows of all others, also where users are few.
func TestNotificationsOfAUserAreFoundAtOnceAmongThoseOfOthers(t *testing.T) {
	t.Parallel()
	database := testkit.Database(t, migrations.Up)
	db, admin := database.OneConn(t, "notifications"), database.OneConn(t, "")
	for _, sql := range []string{
		`INSERT INTO notifications.notifications (message_id, order_id, kind, user_id, recipient, message, channel, status, sent_at, next_attempt_at, requested_at)
		SELECT 'm' || n, 'o-' || n, 'confirmed', CASE WHEN n % 5000 = 7 THEN 'ada' ELSE 'u-' || n % 3 END, 'a', 'm', 'email', 'sent', now(), now(), now()
		FROM generate_series(1, 20000) n`,
		`ANALYZE notifications.notifications`,
	} {
		_, err := admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	for range 8 { // a statement gets its final plan at its sixth run
		for name, entries := range map[string]int64{
			"list":                    testkit.IndexEntries(t, db, store.ListOwnSQL, 1<<40, 51, "ada"),
			"list of an order":        testkit.IndexEntries(t, db, store.ListOwnOfSQL, 1<<40, 51, "o-7", "ada"),
			"list of another's order": testkit.IndexEntries(t, db, store.ListOwnOfSQL, 1<<40, 51, "o-8", "ada"),
		} {
			require.Positive(t, entries, name)
			require.Less(t, entries, int64(10), "index entries gone over for the %s", name)
		}
	}
}
