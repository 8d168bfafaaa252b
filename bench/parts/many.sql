-- The same as in single.sql as five transactions of many statements, as most programs write them.
\set id random(1, 9000000000000000)
\set sku random(0, 63)
BEGIN;
SELECT price_minor, currency FROM orders.inventory WHERE sku = 'bench-' || lpad(:sku::integer::text, 2, '0');
INSERT INTO orders.orders (order_id, user_id, total_minor, currency, status, decided_by, version, created_at, updated_at, status_at, due_at)
VALUES (:id::bigint::text, 'user', 4999, 'USD', 'pending', 'http', 1, now(), now(), now(), now() + interval '1 minute');
INSERT INTO orders.order_lines (order_id, line, sku, quantity, unit_price_minor)
VALUES (:id::bigint::text, 1, 'bench-' || lpad(:sku::integer::text, 2, '0'), 1, 4999);
INSERT INTO orders.order_events (order_id, number, event, status_from, status_to, at) VALUES (:id::bigint::text, 1, 'http', '', 'pending', now());
INSERT INTO orders.outbox (topic, key, value, headers) VALUES ('orders', (:id::bigint::text)::bytea, repeat('x', 300)::bytea, '[]');
COMMIT;
BEGIN;
SELECT status, version FROM orders.orders WHERE order_id = :id::bigint::text FOR UPDATE;
SELECT sku, quantity FROM orders.order_lines WHERE order_id = :id::bigint::text;
SELECT available FROM orders.inventory WHERE sku = 'bench-' || lpad(:sku::integer::text, 2, '0') FOR UPDATE;
UPDATE orders.inventory SET available = available - 1, reserved = reserved + 1 WHERE sku = 'bench-' || lpad(:sku::integer::text, 2, '0') AND available >= 1;
UPDATE orders.orders SET status = 'awaiting_payment', stock = 'reserved', version = 2, updated_at = now(), status_at = now()
WHERE order_id = :id::bigint::text AND status = 'pending';
INSERT INTO orders.order_events (order_id, number, event, status_from, status_to, at)
VALUES (:id::bigint::text, 2, 'order_placed', 'pending', 'awaiting_payment', now());
COMMIT;
BEGIN;
SELECT status FROM payments.payments WHERE order_id = :id::bigint::text;
INSERT INTO payments.provider_ledger (payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status)
VALUES ('pay-' || :id::bigint::text, :id::bigint::text, :id::bigint::text, 'user', 4999, 'USD', '', 'charged');
INSERT INTO payments.payments (order_id, user_id, amount_minor, currency, status, payment_id, created_at, updated_at)
VALUES (:id::bigint::text, 'user', 4999, 'USD', 'captured', 'pay-' || :id::bigint::text, now(), now());
COMMIT;
BEGIN;
SELECT status, version FROM orders.orders WHERE order_id = :id::bigint::text FOR UPDATE;
SELECT sku, quantity FROM orders.order_lines WHERE order_id = :id::bigint::text;
UPDATE orders.inventory SET reserved = reserved - 1, sold = sold + 1 WHERE sku = 'bench-' || lpad(:sku::integer::text, 2, '0');
UPDATE orders.orders SET status = 'confirmed', stock = 'sold', payment_id = 'pay-' || :id::bigint::text, version = 3, due_at = NULL, updated_at = now(), status_at = now()
WHERE order_id = :id::bigint::text AND status = 'awaiting_payment';
INSERT INTO orders.order_events (order_id, number, event, status_from, status_to, at)
VALUES (:id::bigint::text, 3, 'payment_captured', 'awaiting_payment', 'confirmed', now());
COMMIT;
BEGIN;
SELECT status FROM notifications.notifications WHERE order_id = :id::bigint::text AND kind = 'confirmed';
INSERT INTO notifications.notifications (message_id, order_id, kind, user_id, recipient, message, channel, status, next_attempt_at, requested_at)
VALUES (:id::bigint::text, :id::bigint::text, 'confirmed', 'user', 'user@example.com', 'Order confirmed!', 'email', 'pending', now(), now());
UPDATE notifications.notifications SET status = 'sent', attempts = 1, sent_at = now() WHERE order_id = :id::bigint::text AND kind = 'confirmed';
COMMIT;
