package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/app"
)

// $11 is outside. The first part finds a dead letter of the same record. Topic, time and content identify a record that has a
// time. For a record without one, which is before 1970, the position must be the same too.
const holdSQL = `WITH letter AS (
  SELECT NOT $11 AND EXISTS (SELECT FROM dead_letters
    WHERE topic = $3 AND record_time = $6 AND key IS NOT DISTINCT FROM $7 AND value IS NOT DISTINCT FROM $8 AND headers = $9
    AND (record_time >= to_timestamp(0) OR (partition, record_offset) = ($4, $5))) AS parked
), held AS (
  INSERT INTO held_messages (order_id, event, topic, partition, record_offset, record_time, key, value, headers, held_at, outside)
  SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM letter WHERE NOT parked
    AND NOT ($11 AND EXISTS (SELECT FROM held_messages WHERE order_id = $1 AND event = $2 AND outside))
  ON CONFLICT ON CONSTRAINT held_message_once DO NOTHING
)
SELECT parked FROM letter`

// Hold implements app.Tx. Of the messages from outside about one order, one of each event is held: payments repeats its answer
// each time that a producer repeats the request. The same record is held once, also when it comes from a copy of its topic:
// topic, time, key, value and headers identify it, as in a dead letter. A message from outside is held also when it is a dead
// letter, which only an older version makes of it. The caller holds the lock of the order's name, so the order cannot appear
// between its decision and this insert.
func (t *transaction) Hold(ctx context.Context, h app.Held) (bool, error) {
	r := h.Record
	headers, err := r.Headers.MarshalJSON()
	if err != nil {
		return false, fmt.Errorf("encode headers: %w", err)
	}
	var parked bool
	err = t.tx.QueryRow(ctx, holdSQL, h.OrderID, h.Event, r.Topic, r.Partition, r.Offset, r.Time, r.Key, r.Value, headers,
		h.HeldAt, h.Outside).Scan(&parked)
	if err != nil {
		return false, fmt.Errorf("hold %s for order %s: %w", h.Event, h.OrderID, pgdb.OnConflict(err, "held_messages"))
	}
	return parked, nil
}

const heldColumns = `id, order_id, event, topic, partition, record_offset, record_time, key, value, headers, held_at, outside`

// The rows are found first and sorted afterwards, so that the planner does not read the whole table by id. Ids grow in the order
// of the inserts, which is the order in which the messages are applied.
const heldSQL = `WITH found AS MATERIALIZED (
  SELECT ` + heldColumns + ` FROM held_messages WHERE order_id = ANY($1) FOR UPDATE
)
SELECT * FROM found ORDER BY id`

const heldSinceSQL = `SELECT ` + heldColumns + ` FROM held_messages WHERE held_at <= $1 AND NOT outside
ORDER BY held_at LIMIT $2 FOR UPDATE SKIP LOCKED`

// HeldSince implements app.Tx. Replicas that sweep at the same time get different rows, because each skips locked ones. A row
// that is locked now is due again at the next sweep.
func (t *transaction) HeldSince(ctx context.Context, before time.Time, limit int) ([]app.Held, error) {
	held, err := pgdb.Collect(ctx, t.tx, scanHeld, heldSinceSQL, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read held messages: %w", err)
	}
	return held, nil
}

// scanHeld reads a row of heldColumns, in their order.
func scanHeld(row pgx.CollectableRow) (h app.Held, err error) {
	r := &h.Record
	err = row.Scan(&h.ID, &h.OrderID, &h.Event, &r.Topic, &r.Partition, &r.Offset, &r.Time, &r.Key, &r.Value, &r.Headers, &h.HeldAt, &h.Outside)
	return h, err
}
