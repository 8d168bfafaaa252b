package migrations_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
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
