-- +goose Up
-- A rebuild clears what it has read of the topics.
GRANT TRUNCATE ON rebuild_records TO runtime;
GRANT TRUNCATE ON rebuild_progress TO runtime;

-- +goose Down
REVOKE TRUNCATE ON rebuild_records FROM runtime;
REVOKE TRUNCATE ON rebuild_progress FROM runtime;
