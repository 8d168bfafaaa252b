-- +goose Up
CREATE TABLE shipments (
  order_id   text        NOT NULL PRIMARY KEY,
  user_id    text        NOT NULL,
  status     text        NOT NULL CONSTRAINT shipment_status CHECK (status IN ('packing', 'shipped', 'stopped', 'returning')),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
-- Finds the shipments that are due.
CREATE INDEX shipments_packing ON shipments (created_at) WHERE status = 'packing';

-- The service adds entries and reads them. The database sets their time and their number.
REVOKE INSERT, UPDATE, DELETE ON audit_log FROM runtime;
GRANT INSERT (actor, operation, subject, details, address) ON audit_log TO runtime;

-- A rebuild clears what it has read of the topics.
GRANT TRUNCATE ON rebuild_records TO runtime;
GRANT TRUNCATE ON rebuild_progress TO runtime;

-- +goose Down
REVOKE TRUNCATE ON rebuild_records FROM runtime;
REVOKE TRUNCATE ON rebuild_progress FROM runtime;
REVOKE INSERT (actor, operation, subject, details, address) ON audit_log FROM runtime;
GRANT INSERT, UPDATE, DELETE ON audit_log TO runtime;
DROP TABLE shipments;
