-- +goose Up
-- A tombstone that was lost would let an order be taken anew.
REVOKE UPDATE, DELETE ON removed_orders FROM runtime;
REVOKE DELETE ON removed_pieces FROM runtime;

-- +goose Down
GRANT UPDATE, DELETE ON removed_orders TO runtime;
GRANT DELETE ON removed_pieces TO runtime;
