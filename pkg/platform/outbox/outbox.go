package outbox

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
)

// Row is a stored message. Hand it to Relay.Enqueue after the commit.
type Row struct {
	ID     int64
	Record messages.Record
}

const addSQL = `INSERT INTO outbox (topic, key, value, headers)
SELECT topic, key, value, headers FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::jsonb[]) WITH ORDINALITY
  AS m (topic, key, value, headers, ord) ORDER BY ord
RETURNING id`

// Add queues the statement that stores msgs, in order, and calls stored with their rows once it has run. It queues nothing
// and returns an error when a message cannot be encoded.
func Add(batch *pgx.Batch, stored func([]Row), msgs ...messages.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	rows := make([]Row, len(msgs))
	topics, keys, values, headers := make([]string, len(msgs)), make([][]byte, len(msgs)), make([][]byte, len(msgs)), make([][]byte, len(msgs))
	for i, m := range msgs {
		r, err := m.Record()
		if err != nil {
			return fmt.Errorf("put %s into the outbox: %w", m.ID, err)
		}
		rows[i].Record = r
		topics[i], keys[i], values[i] = r.Topic, r.Key, r.Value
		if headers[i], err = r.Headers.MarshalJSON(); err != nil {
			return fmt.Errorf("put %s into the outbox: %w", m.ID, err)
		}
	}
	batch.Queue(addSQL, topics, keys, values, headers).Query(func(result pgx.Rows) error {
		ids, err := pgx.CollectRows(result, pgx.RowTo[int64])
		if err != nil {
			return fmt.Errorf("put %d messages into the outbox: %w", len(msgs), pgdb.OnConflict(err, "outbox"))
		}
		for i := range rows {
			rows[i].ID = ids[i]
		}
		stored(rows)
		return nil
	})
	return nil
}
