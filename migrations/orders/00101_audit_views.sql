-- +goose Up
-- Views for the auditor (`pas audit`). They are all that a tool reads of this schema: tables may change, views stay.

CREATE VIEW audit_orders AS
SELECT order_id, user_id, status, reason, currency, payment_id, total_minor, version, created_at, updated_at, due_at FROM orders;

CREATE VIEW audit_order_events AS
SELECT order_id, number, event, status_from, status_to, at FROM order_events;

-- Each product, and what the orders hold of it.
CREATE VIEW audit_stock AS
SELECT i.sku, i.available, i.reserved, i.sold, i.stocked,
  coalesce(held.reserved, 0) AS orders_reserved, coalesce(held.sold, 0) AS orders_sold
FROM inventory i LEFT JOIN (
  SELECT l.sku, sum(l.quantity) FILTER (WHERE o.stock = 'reserved') AS reserved, sum(l.quantity) FILTER (WHERE o.stock = 'sold') AS sold
  FROM orders o JOIN order_lines l USING (order_id) WHERE o.stock <> 'none' GROUP BY l.sku) held USING (sku);

CREATE VIEW audit_held_messages AS
SELECT id, order_id, event, topic, partition, record_offset, outside, held_at FROM held_messages;

CREATE VIEW audit_outbox AS
SELECT id, topic, coalesce(convert_from(key, 'UTF8'), '') AS key, created_at FROM outbox;

-- Dead letters: where each record is, and what it contains. A letter may stand for a whole batch, first to last_offset. content
-- is NULL when a letter is known by its position alone: a record without a time, or one that is not kept whole.
CREATE VIEW audit_dead_letters AS
SELECT id, topic, partition, record_offset, coalesce(last_offset, record_offset) AS last_offset, record_time, reason,
  state IN ('parked', 'replaying') AS open,
  CASE WHEN record_time < to_timestamp(0) OR last_offset IS NOT NULL OR key_bytes IS NOT NULL THEN NULL
    ELSE sha256(coalesce(sha256(key), '\x00') || coalesce(value_sha256, sha256(value), '\x00')) END AS content
FROM dead_letters;

GRANT SELECT ON audit_orders, audit_order_events, audit_stock, audit_held_messages, audit_outbox, audit_dead_letters TO auditor;

-- +goose Down
DROP VIEW audit_orders, audit_order_events, audit_stock, audit_held_messages, audit_outbox, audit_dead_letters;
