package migrations_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
)

// A migration that waits for a table without end has all statements on it wait behind it.
func TestAMigrationThatWaitsForATransactionLetsOthersPass(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	holder, reader, admin := w.as("orders"), w.as("orders"), w.as("")
	// The role's time-out would end the holder's transaction on a slow machine.
	_, err := holder.Exec(t.Context(), `SET idle_in_transaction_session_timeout = 0; BEGIN; SELECT FROM orders.orders`)
	require.NoError(t, err)
	migrated := make(chan error, 1)
	go func() { migrated <- migrations.Down(t.Context(), w.AdminURL, "orders") }() // drops the table
	testkit.Eventually(t, func() error {
		if len(w.lines(admin, `SELECT pid::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)) == 0 {
			return errors.New("the migration does not wait yet")
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = reader.Exec(ctx, `SELECT FROM orders.orders`)
	require.NoError(t, err, "it does not wait for the migration for long")
	require.Empty(t, migrated)
	_, err = holder.Exec(t.Context(), `COMMIT`)
	require.NoError(t, err)
	require.NoError(t, <-migrated)
}
