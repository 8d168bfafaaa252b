package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

// replicatedSQL does to a table what logical replication does: rows with ids, and a sequence that has given out none of them.
const replicatedSQL = `INSERT INTO %[1]s.dead_letters (id, topic, partition, record_offset, record_time, key, value, headers, reason, detail)
OVERRIDING SYSTEM VALUE SELECT n, 'orders', 0, n, now(), 'k', n::text::bytea, '[]', 'not_json', '' FROM generate_series(1, 100) AS n;
SELECT setval('%[1]s.dead_letters_id_seq', 1, false);
SELECT setval(pg_get_serial_sequence('%[1]s.goose_db_version', 'id'), 1, false)`

const nextSQL = `INSERT INTO %s.dead_letters (topic, partition, record_offset, record_time, key, value, headers, reason, detail)
VALUES ('orders', 0, 1000, now(), 'k', 'v', '[]', 'not_json', '') RETURNING id::text`

func TestSequencesThatReplicationLeftBehindAreMovedForwardAndNeverBack(t *testing.T) {
	t.Parallel()
	for _, service := range messages.Services() {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.up()
			conn := w.as("") // the service's role may not set sequences
			_, err := conn.Exec(t.Context(), fmt.Sprintf(replicatedSQL, service))
			require.NoError(t, err)
			w.refused(conn, "23505", fmt.Sprintf(nextSQL, service))

			roles := migrations.RolesOf(service)
			moved, err := migrations.MoveSequences(t.Context(), w.AdminURL, service, roles)
			require.NoError(t, err)
			require.Len(t, moved, 2)
			require.Contains(t, moved, pgdb.Sequence{Table: service + ".dead_letters", Column: "id",
				Name: service + ".dead_letters_id_seq", Last: 1, Highest: 100})
			require.Equal(t, []string{"101"}, w.lines(conn, fmt.Sprintf(nextSQL, service)))

			_, err = conn.Exec(t.Context(), fmt.Sprintf(`SELECT setval('%s.dead_letters_id_seq', 5000)`, service))
			require.NoError(t, err)
			moved, err = migrations.MoveSequences(t.Context(), w.AdminURL, service, roles)
			require.NoError(t, err)
			require.Empty(t, moved, "a sequence past its rows stays")
			require.Equal(t, []string{"5001"}, w.lines(conn, fmt.Sprintf(nextSQL, service)))
		})
	}
}

// goose numbers its own rows, so the next version's migrations would fail after a move.
func TestMigrationsRunOverADatabaseThatReplicationFilled(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, migrations.UpTo(t.Context(), w.AdminURL, "orders", 88))
	_, err := w.as("").Exec(t.Context(), fmt.Sprintf(replicatedSQL, "orders"))
	require.NoError(t, err)
	w.up()
	require.Equal(t, []string{"101"}, w.lines(w.as("orders"), fmt.Sprintf(nextSQL, "orders")))
}

// A transaction that has taken an id, and not committed its row, holds the move up: the id must not be given out again.
func TestTheMoveOfASequenceWaitsForInserts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	writer := w.as("")
	_, err := writer.Exec(t.Context(), fmt.Sprintf(replicatedSQL, "payments")+`; SELECT setval('payments.dead_letters_id_seq', 99)`)
	require.NoError(t, err)
	_, err = writer.Exec(t.Context(), `BEGIN; SELECT nextval('payments.dead_letters_id_seq'); `+
		fmt.Sprintf(nextSQL, "payments")) // 101; the sequence is past the rows that others see
	require.NoError(t, err)
	_, err = writer.Exec(t.Context(), `SELECT setval('payments.dead_letters_id_seq', 50)`)
	require.NoError(t, err)

	done := make(chan error, 1)
	go func() {
		_, err := migrations.MoveSequences(t.Context(), w.AdminURL, "payments", migrations.RolesOf("payments"))
		done <- err
	}()
	admin := w.as("")
	testkit.Eventually(t, func() error {
		if len(w.lines(admin, `SELECT pid::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)) == 0 {
			return errors.New("the move does not wait yet")
		}
		return nil
	})
	_, err = writer.Exec(t.Context(), `COMMIT`)
	require.NoError(t, err)
	require.NoError(t, <-done)
	require.Equal(t, []string{"102"}, w.lines(writer, fmt.Sprintf(nextSQL, "payments")))
}

func TestSequencesAreMovedOnlyWhereTheAdminReaches(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := migrations.MoveSequences(ctx, setup(t).AdminURL, "orders", migrations.RolesOf("orders"))
	require.ErrorContains(t, err, "connect to migrate")
}
