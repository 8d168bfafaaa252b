package migrations_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
)

// Letters and held messages from before an upgrade are known again in a copy of their topic, and none of them is lost,
// also where a copy was parked twice by the older version.
func TestRecordsFromBeforeAreKnownInACopyOfTheirTopic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ service, table, constraint, columns, values string }{
		{"orders", "dead_letters", "dead_letter_parked_once", "reason, detail", "'not_json', ''"},
		{"payments", "dead_letters", "dead_letter_parked_once", "reason, detail", "'not_json', ''"},
		{"notifications", "dead_letters", "dead_letter_parked_once", "reason, detail", "'not_json', ''"},
		{"orders", "held_messages", "held_message_once", "order_id, event, held_at", "'o', 'payment_captured', now()"},
	} {
		t.Run(c.service+" "+c.table, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			require.NoError(t, migrations.UpTo(t.Context(), w.AdminURL, c.service, 86))
			conn := w.as(c.service)
			insert := fmt.Sprintf(`INSERT INTO %s.%s (topic, partition, record_offset, record_time, key, value, headers, %s)
				VALUES ('payments', 0, %%d, '%%s', 'k', 'v', '[{"key":"aA==","value":null}]', %s)`, c.service, c.table, c.columns, c.values)
			const at, none = "2026-01-02 03:04:05.678+00", "0001-01-01 00:00:00+00"
			for offset := range 3 { // parked before and after an earlier move
				_, err := conn.Exec(t.Context(), fmt.Sprintf(insert, offset, at))
				require.NoError(t, err)
			}
			_, err := conn.Exec(t.Context(), fmt.Sprintf(insert, 3, none))
			require.NoError(t, err)

			require.NoError(t, migrations.UpService(t.Context(), w.AdminURL, c.service, migrations.RolesOf(c.service)))
			require.Equal(t, []string{"0", "1", "2", "0"}, w.lines(conn, fmt.Sprintf(`SELECT twin::text FROM %s.%s ORDER BY id`, c.service, c.table)))
			require.Equal(t, c.constraint, w.refused(conn, "23505", fmt.Sprintf(insert, 9, at)).ConstraintName)
			require.Equal(t, c.constraint, w.refused(conn, "23505", fmt.Sprintf(insert, 3, none)).ConstraintName)
			_, err = conn.Exec(t.Context(), fmt.Sprintf(insert, 4, none))
			require.NoError(t, err, "without a time the place decides")
		})
	}
}

// The sweeper that parks what was kept aside locks the held messages, then writes dead letters. A migration that had the dead
// letters locked while it waits for the held messages would be a deadlock with it, on replicas of the older version.
func TestTheCopiesMigrationOfOrdersWaitsForHeldMessagesWithoutHoldingDeadLetters(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, migrations.UpTo(t.Context(), w.AdminURL, "orders", 86))
	sweeper, admin := w.as("orders"), w.as("")
	insert := func(table, columns, values string) string {
		return fmt.Sprintf(`INSERT INTO orders.%s (topic, partition, record_offset, record_time, key, value, headers, %s)
			VALUES ('payments', 0, 1, '2026-01-02 03:04:05+00', 'k', 'v', '[]', %s)`, table, columns, values)
	}
	_, err := sweeper.Exec(t.Context(), insert("held_messages", "order_id, event, held_at", "'o', 'payment_captured', now()"))
	require.NoError(t, err)
	_, err = sweeper.Exec(t.Context(), `BEGIN; SET LOCAL lock_timeout = '500ms'; SELECT FROM orders.held_messages FOR UPDATE`)
	require.NoError(t, err)
	migrated := make(chan error, 1)
	go func() {
		migrated <- migrations.UpService(t.Context(), w.AdminURL, "orders", migrations.RolesOf("orders"))
	}()
	testkit.Eventually(t, func() error {
		if len(w.lines(admin, `SELECT pid::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)) == 0 {
			return errors.New("the migration does not wait yet")
		}
		return nil
	})
	_, err = sweeper.Exec(t.Context(), insert("dead_letters", "reason, detail", "'unknown_order', ''"))
	require.NoError(t, err)
	_, err = sweeper.Exec(t.Context(), `DELETE FROM orders.held_messages; COMMIT`)
	require.NoError(t, err)
	require.NoError(t, <-migrated)
}
