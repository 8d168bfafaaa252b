-- The lifecycle of an order as five transactions of one statement each, on the product's own tables.
\set id random(1, 9000000000000000)
\set sku random(0, 63)
WITH o AS (
  INSERT INTO orders.orders (order_id, user_id, total_minor, currency, status, decided_by, version, created_at, updated_at, status_at, due_at)
  VALUES (:id::bigint::text, 'user', 4999, 'USD', 'pending', 'http', 1, now(), now(), now(), now() + interval '1 minute') RETURNING order_id
), l AS (
  INSERT INTO orders.order_lines (order_id, line, sku, quantity, unit_price_minor)
  SELECT order_id, 1, 'bench-' || lpad(:sku::integer::text, 2, '0'), 1, 4999 FROM o
), e AS (
  INSERT INTO orders.order_events (order_id, number, event, status_from, status_to, at) SELECT order_id, 1, 'http', '', 'pending', now() FROM o
)
INSERT INTO orders.outbox (topic, key, value, headers) SELECT 'orders', order_id::bytea, repeat('x', 300)::bytea, '[]' FROM o;
WITH s AS (
  UPDATE orders.inventory SET available = available - 1, reserved = reserved + 1
  WHERE sku = 'bench-' || lpad(:sku::integer::text, 2, '0') AND available >= 1 RETURNING sku
), o AS (
  UPDATE orders.orders SET status = 'awaiting_payment', stock = 'reserved', version = 2, updated_at = now(), status_at = now()
  FROM s WHERE order_id = :id::bigint::text AND status = 'pending' RETURNING order_id
)
INSERT INTO orders.order_events (order_id, number, event, status_from, status_to, at)
SELECT order_id, 2, 'order_placed', 'pending', 'awaiting_payment', now() FROM o;
WITH p AS (
  INSERT INTO payments.provider_ledger (payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status)
  VALUES ('pay-' || :id::bigint::text, :id::bigint::text, :id::bigint::text, 'user', 4999, 'USD', '', 'charged') RETURNING payment_id
)
INSERT INTO payments.payments (order_id, user_id, amount_minor, currency, status, payment_id, created_at, updated_at)
SELECT :id::bigint::text, 'user', 4999, 'USD', 'captured', payment_id, now(), now() FROM p;
WITH s AS (
  UPDATE orders.inventory SET reserved = reserved - 1, sold = sold + 1 WHERE sku = 'bench-' || lpad(:sku::integer::text, 2, '0') RETURNING sku
), o AS (
  UPDATE orders.orders SET status = 'confirmed', stock = 'sold', payment_id = 'pay-' || :id::bigint::text, version = 3, due_at = NULL, updated_at = now(), status_at = now()
  FROM s WHERE order_id = :id::bigint::text AND status = 'awaiting_payment' RETURNING order_id
)
INSERT INTO orders.order_events (order_id, number, event, status_from, status_to, at)
SELECT order_id, 3, 'payment_captured', 'awaiting_payment', 'confirmed', now() FROM o;
INSERT INTO notifications.notifications (message_id, order_id, kind, user_id, recipient, message, channel, status, attempts, next_attempt_at, requested_at, sent_at)
VALUES (:id::bigint::text, :id::bigint::text, 'confirmed', 'user', 'user@example.com', 'Order confirmed!', 'email', 'sent', 1, now(), now(), now());
