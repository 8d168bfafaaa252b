-- When the order was received, to measure how long its customer waited; and the trace that the email belongs to.

-- +goose Up
ALTER TABLE notifications
    ADD COLUMN ordered_at   timestamptz,
    ADD COLUMN trace_parent text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE notifications DROP COLUMN ordered_at, DROP COLUMN trace_parent;
