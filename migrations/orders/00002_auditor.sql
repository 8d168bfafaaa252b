-- +goose Up

-- The audit reads everything and changes nothing.
GRANT USAGE ON SCHEMA orders TO auditor;
GRANT SELECT ON inventory, orders, order_lines, order_events, held_messages, outbox, dead_letters TO auditor;

-- +goose Down
REVOKE SELECT ON inventory, orders, order_lines, order_events, held_messages, outbox, dead_letters FROM auditor;
REVOKE USAGE ON SCHEMA orders FROM auditor;
