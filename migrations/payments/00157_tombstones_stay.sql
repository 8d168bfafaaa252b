-- +goose Up
-- A tombstone that was lost would let an order be charged again.
REVOKE UPDATE, DELETE ON removed_payments FROM runtime;

-- +goose Down
GRANT UPDATE, DELETE ON removed_payments TO runtime;
