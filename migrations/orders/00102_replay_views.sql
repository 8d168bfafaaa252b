-- +goose Up
-- Views for `pas replay`: one for each kind of row that a replay must not change. Each row has a key, in which order the rows are
-- compared; what it is about, which messages that explain a difference name; whether it is settled; what brought it to its
-- state without a message ('' when a message did); its state in words; and a digest of all of it.

-- An order whole, with its lines and its timeline.
CREATE VIEW replay_orders AS
SELECT o.order_id AS key, o.order_id AS about, o.status IN ('confirmed', 'rejected', 'failed', 'cancelled') AS settled,
  CASE WHEN o.decided_by IN ('http', 'timeout') THEN o.decided_by || ' ' || o.status_at ELSE '' END AS alone,
  o.status || ' at change ' || o.version AS state, md5(concat_ws(' ', o::text, l.all_of_it, e.all_of_it)) AS digest
FROM orders o
LEFT JOIN (SELECT order_id, string_agg(order_lines::text, ' ' ORDER BY line) AS all_of_it FROM order_lines GROUP BY order_id) l USING (order_id)
LEFT JOIN (SELECT order_id, string_agg(order_events::text, ' ' ORDER BY number) AS all_of_it FROM order_events GROUP BY order_id) e USING (order_id);

-- Orders move pieces all the time. A replay must not change how the pieces and the orders that hold them agree.
CREATE VIEW replay_inventory AS
SELECT sku AS key, '' AS about, true AS settled, '' AS alone, state, md5(state) AS digest
FROM (SELECT sku, reserved - orders_reserved || ' reserved and ' || sold - orders_sold || ' sold beyond what orders hold' AS state FROM audit_stock) beyond;

-- A held message may become a dead letter later.
CREATE VIEW replay_dead_letters AS
SELECT topic || '/' || partition || '@' || record_offset AS key, '' AS about, true AS settled, '' AS alone, 'parked as ' || reason AS state,
  md5(concat_ws(' ', reason, record_time, key, value)) AS digest
FROM dead_letters
UNION ALL
SELECT topic || '/' || partition || '@' || record_offset, '', false, '', 'kept aside', '' FROM held_messages;

GRANT SELECT ON replay_orders, replay_inventory, replay_dead_letters TO auditor;

-- +goose Down
DROP VIEW replay_orders, replay_inventory, replay_dead_letters;
