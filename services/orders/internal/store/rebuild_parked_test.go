package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/domain"
)

// A person decides about a dead letter, and a discarded one is given up. A replayed one was handled, and its outcome is maybe still to be published.
func TestDeadLettersAreLeftAside(t *testing.T) {
	t.Parallel()
	w := setup(t)
	state := w.rebuilder()
	placed := story(state, sold("given up", "record-brush", 2)[:1]...)
	placed.Records[0].Source, placed.Records[0].Offset = "shop", 70
	back := story(state, append(sold("o", "record-brush", 2), messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: usd(200), PaymentID: "p-o"})...)
	park := func(topic string, offset int64, at time.Time) {
		_, err := w.db.Exec(t.Context(), `INSERT INTO dead_letters (topic, partition, record_offset, record_time, reason, detail)
			VALUES ($1, 0, $2, $3, 'contradicts_state', '')`, topic, offset, at)
		require.NoError(t, err)
	}
	park("orders", 70, at)
	park("payments", 4, at.Add(4*time.Second))
	for _, letters := range []string{"parked", "replaying", "discarded"} {
		_, err := w.db.Exec(t.Context(), `UPDATE dead_letters SET state = $1`, letters)
		require.NoError(t, err)
		require.NotContains(t, kinds(w.rebuild(placed, back)), "undecided given up", letters)
		require.Equal(t, domain.Confirmed, w.read("o").Status, letters)
		require.Empty(t, w.rebuild(placed, back), letters)
	}

	// A letter of a topic that was made again has the place of another record.
	placed.Records[0].Written = at.Add(time.Hour)
	require.Equal(t, []string{"undecided given up"}, kinds(w.rebuild(placed, back)))
	placed.Records[0].Written = at

	_, err := w.db.Exec(t.Context(), `UPDATE dead_letters SET state = 'replayed'`)
	require.NoError(t, err)
	require.Contains(t, kinds(w.rebuild(placed, back)), "undecided o")
	require.Equal(t, domain.Cancelled, w.read("o").Status)
}
