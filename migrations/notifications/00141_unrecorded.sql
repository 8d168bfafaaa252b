-- The index has a file of its own, because adding the columns of 00140 locks out readers until its transaction ends.

-- +goose Up
-- The rows whose event is still to be published, by the time of the next attempt to publish it.
CREATE INDEX notifications_unrecorded ON notifications (next_attempt_at) WHERE NOT recorded;

-- +goose Down
DROP INDEX notifications_unrecorded;
