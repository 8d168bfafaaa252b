-- +goose Up
-- What an outcome event says of its order. Each of the lines has sku, quantity and the price of one.
CREATE OR REPLACE VIEW audit_orders AS
SELECT o.order_id, o.user_id, o.status, o.reason, o.currency, o.payment_id, o.total_minor, o.version, o.created_at, o.updated_at, o.due_at,
  o.decided_by, o.late_payment, l.lines
FROM orders o
LEFT JOIN (SELECT order_id, string_agg(sku || ' ' || quantity || ' ' || coalesce(unit_price_minor::text, '') || E'\n', '' ORDER BY line) AS lines
           FROM order_lines GROUP BY order_id) l USING (order_id);

-- +goose Down
DROP VIEW audit_orders;
CREATE VIEW audit_orders AS
SELECT order_id, user_id, status, reason, currency, payment_id, total_minor, version, created_at, updated_at, due_at FROM orders;
GRANT SELECT ON audit_orders TO auditor;
