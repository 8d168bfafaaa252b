package replay

// table is one kind of rows that a replay must not change. Its query gives, in the order of the key's bytes: the key;
// what the row is about, which messages that explain a difference name; whether it is settled; what it came to by itself,
// "" when a message brought it there; what it is, for people; a hash of all of it.
type table struct {
	name, sql string
	positions bool // keys are positions of records
	mayGrow   bool // a row that was added is no difference
}

// Rows are hashed whole, in the order of the columns: an order with its lines and its timeline.
const ordersSQL = `
SELECT o.order_id, o.order_id, o.status IN ('confirmed', 'rejected', 'failed', 'cancelled'),
  CASE WHEN o.decided_by IN ('http', 'timeout') THEN o.decided_by || ' ' || o.status_at ELSE '' END,
  o.status || ' at change ' || o.version, md5(concat_ws(' ', o::text, l.all_of_it, e.all_of_it))
FROM orders o
LEFT JOIN (SELECT order_id, string_agg(order_lines::text, ' ' ORDER BY line) AS all_of_it FROM order_lines GROUP BY order_id) l USING (order_id)
LEFT JOIN (SELECT order_id, string_agg(order_events::text, ' ' ORDER BY number) AS all_of_it FROM order_events GROUP BY order_id) e USING (order_id)
ORDER BY o.order_id COLLATE "C"`

// Orders move pieces all the time. What a replay must not change is how the pieces and the orders that hold them agree.
const inventorySQL = `
WITH held AS (
  SELECT l.sku, sum(l.quantity) FILTER (WHERE o.stock = 'reserved') AS reserved, sum(l.quantity) FILTER (WHERE o.stock = 'sold') AS sold
  FROM orders o JOIN order_lines l USING (order_id) WHERE o.stock <> 'none' GROUP BY l.sku),
beyond AS (
  SELECT i.sku, i.reserved - COALESCE(h.reserved, 0) || ' reserved and ' || i.sold - COALESCE(h.sold, 0) || ' sold beyond what orders hold' AS is
  FROM inventory i LEFT JOIN held h USING (sku))
SELECT sku, '', true, '', "is", md5("is") FROM beyond ORDER BY sku COLLATE "C"`

const paymentsSQL = `
SELECT order_id, order_id, true, '', status, md5(p::text) FROM payments p ORDER BY order_id COLLATE "C"`

// What the provider was asked counts, too: it has not to be asked again.
const ledgerSQL = `
SELECT payment_id, order_id, status <> 'erring', '',
  status || ' for order ' || order_id || ', asked ' || charge_calls || ' times to charge and ' || refund_calls || ' to refund', md5(l::text)
FROM provider_ledger l ORDER BY payment_id COLLATE "C"`

const notificationsSQL = `
SELECT lpad(id::text, 19, '0'), COALESCE(order_id, message_id), status <> 'pending', '',
  status || ', ' || COALESCE(kind, 'no kind') || ' of ' || COALESCE('order ' || order_id, 'message ' || message_id), md5(n::text)
FROM notifications n ORDER BY id`

// Whatever becomes of a dead letter, its record stays one.
const lettersSQL = `
SELECT topic || '/' || partition || '@' || record_offset, '', true, '', 'parked as ' || reason, md5(concat_ws(' ', reason, record_time, key, value))
FROM dead_letters ORDER BY (topic || '/' || partition || '@' || record_offset) COLLATE "C"`

// A message that is kept aside may be parked later.
const lettersAndHeldSQL = `
SELECT * FROM (
  SELECT topic || '/' || partition || '@' || record_offset AS at, '', true, '', 'parked as ' || reason, md5(concat_ws(' ', reason, record_time, key, value))
  FROM dead_letters
  UNION ALL
  SELECT topic || '/' || partition || '@' || record_offset, '', false, '', 'kept aside', '' FROM held_messages) both_kinds
ORDER BY at COLLATE "C"`

// tables returns what of the service's state must stay.
func tables(service string) []table {
	switch service {
	case "orders":
		return []table{{name: "orders", sql: ordersSQL}, {name: "inventory", sql: inventorySQL, mayGrow: true},
			{name: "dead_letters", sql: lettersAndHeldSQL, positions: true}}
	case "payments":
		return []table{{name: "payments", sql: paymentsSQL}, {name: "provider_ledger", sql: ledgerSQL},
			{name: "dead_letters", sql: lettersSQL, positions: true}}
	default:
		return []table{{name: "notifications", sql: notificationsSQL}, {name: "dead_letters", sql: lettersSQL, positions: true}}
	}
}
