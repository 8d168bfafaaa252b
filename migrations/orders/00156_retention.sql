-- +goose Up
-- One row for each order that retention removed, so that no record, request or rebuild makes the order again. It has no time and
-- no user, and is never deleted: an id that was forgotten could be paid for with the payment of the order before.
CREATE TABLE removed_orders (
  id uuid PRIMARY KEY -- the first 16 bytes of the SHA-256 of the order's id
);

-- The pieces that the removed orders sold, so that stock and orders still agree.
CREATE TABLE removed_pieces (
  sku  text   PRIMARY KEY,
  sold bigint NOT NULL CONSTRAINT removed_pieces_positive CHECK (sold > 0)
);

CREATE OR REPLACE VIEW audit_stock AS
SELECT i.sku, i.available, i.reserved, i.sold, i.stocked,
  coalesce(held.reserved, 0) AS orders_reserved, coalesce(held.sold, 0) + coalesce(r.sold, 0) AS orders_sold
FROM inventory i LEFT JOIN (
  SELECT l.sku, sum(l.quantity) FILTER (WHERE o.stock = 'reserved') AS reserved, sum(l.quantity) FILTER (WHERE o.stock = 'sold') AS sold
  FROM orders o JOIN order_lines l USING (order_id) WHERE o.stock <> 'none' GROUP BY l.sku) held USING (sku)
LEFT JOIN removed_pieces r USING (sku);

CREATE VIEW audit_removed AS SELECT id FROM removed_orders;
GRANT SELECT ON audit_removed, removed_orders, removed_pieces TO auditor;

-- +goose Down
DROP VIEW audit_removed;
CREATE OR REPLACE VIEW audit_stock AS
SELECT i.sku, i.available, i.reserved, i.sold, i.stocked,
  coalesce(held.reserved, 0) AS orders_reserved, coalesce(held.sold, 0) AS orders_sold
FROM inventory i LEFT JOIN (
  SELECT l.sku, sum(l.quantity) FILTER (WHERE o.stock = 'reserved') AS reserved, sum(l.quantity) FILTER (WHERE o.stock = 'sold') AS sold
  FROM orders o JOIN order_lines l USING (order_id) WHERE o.stock <> 'none' GROUP BY l.sku) held USING (sku);
DROP TABLE removed_pieces, removed_orders;
