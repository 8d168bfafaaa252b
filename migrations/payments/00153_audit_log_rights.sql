-- +goose Up
-- The service adds entries and reads them. The database sets their time and their number.
REVOKE INSERT, UPDATE, DELETE ON audit_log FROM runtime;
GRANT INSERT (actor, operation, subject, details, address) ON audit_log TO runtime;

-- +goose Down
REVOKE INSERT (actor, operation, subject, details, address) ON audit_log FROM runtime;
GRANT INSERT, UPDATE, DELETE ON audit_log TO runtime;
