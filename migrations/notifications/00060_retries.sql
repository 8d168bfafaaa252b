-- Attempts to send an email end at an age. An operator may ask for a failed one again.

-- +goose Up
ALTER TABLE notifications ADD COLUMN tried_since timestamptz NOT NULL DEFAULT now(); -- from when the age counts
CREATE INDEX notifications_failed ON notifications (id DESC) WHERE status = 'failed';

-- +goose Down
DROP INDEX notifications_failed;
ALTER TABLE notifications DROP COLUMN tried_since;
