package deadletter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
)

// Logical replication copies letters and leaves the sequence behind them.
func TestALetterWhoseIDIsTakenIsNotTakenForOneThatIsParked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	park := func(n int64) error { return w.Park(t.Context(), record(n), "not_json", "", "") }
	require.NoError(t, park(1))
	_, err := w.db.Exec(t.Context(), `SELECT setval('dead_letters_id_seq', 1, false)`)
	require.NoError(t, err)
	err = park(2)
	require.ErrorAs(t, err, new(*pgdb.SequenceError))
	require.ErrorContains(t, err, "run `pas migrate`")
	require.True(t, pgdb.IsUnavailable(err), "the record waits")
	require.NoError(t, park(2), "the sequence has passed the letter")
}
