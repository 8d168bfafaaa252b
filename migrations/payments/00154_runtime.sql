-- +goose Up
-- `pas rebuild` clears what it has read of the topics. DELETE would read and log each of a million records.
GRANT TRUNCATE ON rebuild_records TO runtime;
GRANT TRUNCATE ON rebuild_progress TO runtime;

-- +goose Down
REVOKE TRUNCATE ON rebuild_records FROM runtime;
REVOKE TRUNCATE ON rebuild_progress FROM runtime;
