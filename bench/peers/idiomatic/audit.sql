-- Stock is right when, for each sku, nothing is below zero, the pieces add up, what is sold is what confirmed orders
-- have, and what is reserved is what orders that wait for their payment have.
WITH held AS (
  SELECT l.sku, coalesce(sum(l.quantity) FILTER (WHERE o.status = 'confirmed'), 0) AS sold,
         coalesce(sum(l.quantity) FILTER (WHERE o.status = 'awaiting_payment'), 0) AS reserved
  FROM orders.order_lines l JOIN orders.orders o USING (order_id) GROUP BY l.sku
)
SELECT (SELECT count(*) FROM orders.orders),
       (SELECT count(*) FROM orders.orders WHERE status = 'confirmed'),
       (SELECT coalesce(sum(amount_minor), 0) / 100.0 FROM payments.payments WHERE status = 'captured')::numeric(20, 2)::text,
       (SELECT count(*) FROM notifications.notifications),
       (SELECT bool_and(available >= 0 AND available + i.reserved + i.sold = stocked
                        AND i.sold = coalesce(held.sold, 0) AND i.reserved = coalesce(held.reserved, 0))
        FROM orders.inventory i LEFT JOIN held USING (sku))
