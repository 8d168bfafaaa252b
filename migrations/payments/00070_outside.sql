-- +goose Up
-- Who asked for the payment first: the orders service, or a producer outside. The row's answers say so, and the audit does
-- not look for the order of a payment that was asked for from outside.
ALTER TABLE payments ADD COLUMN outside boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE payments DROP COLUMN outside;
