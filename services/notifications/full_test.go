package notifications_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/notifications"
)

const fewestLetters = 1000 // DEAD_LETTERS_MAX takes no fewer

const fillSQL = `INSERT INTO dead_letters (topic, partition, record_offset, record_time, reason, detail)
SELECT 'elsewhere', 0, n, now() + n * interval '1 second', 'malformed', 'of before' FROM generate_series(1, $1::integer) AS n`

// With a table full of letters that nobody has handled, a message that would be parked waits: its partition stands, the metric of
// the alert says full, readiness says what to do, and the other partitions go on. Once somebody discards a letter it is parked, and
// what stands behind it is handled.
func TestAFullTableOfDeadLettersHoldsItsPartitionUpUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.DB.Exec(t.Context(), fillSQL, fewestLetters)
	require.NoError(t, err)
	s := w.start(func(c *notifications.Config) { c.Letters.Letters = fewestLetters })
	write := func(key, body string) {
		require.NoError(t, w.Producer.PublishRecords(t.Context(), messages.Record{Topic: messages.TopicNotifications, Key: []byte(key), Value: []byte(body)}))
	}
	write("k", "no json")
	write("k", `{"user_id": 1, "message": "behind", "channel": "email"}`)
	says := func(path string, status int, text string) { s.Answers(s.Admin+path, status, text) }
	says("/readyz", http.StatusServiceUnavailable, "replay or discard some")
	says("/metrics", http.StatusOK, fmt.Sprintf("pasdetrois_dead_letters_stored{handled=\"no\"} %d\n", fewestLetters))
	says("/metrics", http.StatusOK, fmt.Sprintf("pasdetrois_dead_letters_limit %d\n", fewestLetters))
	for i := range 30 { // some of them are in the other partitions
		write(fmt.Sprint("other-", i), fmt.Sprintf(`{"user_id": 1, "message": "beside %d", "channel": "email"}`, i))
	}
	for _, e := range w.await(5) {
		require.Contains(t, e.Message, "beside", "what stands behind it waits")
	}

	var letter int64
	require.NoError(t, w.DB.QueryRow(t.Context(), `SELECT min(id) FROM dead_letters`).Scan(&letter))
	status, body := s.Do(http.MethodPost, fmt.Sprintf("%s/dead-letters/%d/discard", s.Admin, letter), "")
	require.Less(t, status, 300, body)
	require.Len(t, w.await(31), 31)
	says("/readyz", http.StatusOK, "ok")
	var parked int
	require.NoError(t, w.DB.QueryRow(t.Context(), `SELECT count(*) FROM dead_letters WHERE topic <> 'elsewhere'`).Scan(&parked))
	require.Equal(t, 1, parked)
	require.NoError(t, w.DB.QueryRow(t.Context(), `SELECT count(*) FROM dead_letters`).Scan(&parked))
	require.Equal(t, fewestLetters, parked, "the discarded one made room")
}
