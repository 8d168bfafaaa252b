-- +goose Up

-- The audit reads everything and changes nothing.
GRANT USAGE ON SCHEMA notifications TO auditor;
GRANT SELECT ON notifications, dead_letters TO auditor;

-- +goose Down
REVOKE SELECT ON notifications, dead_letters FROM auditor;
REVOKE USAGE ON SCHEMA notifications FROM auditor;
