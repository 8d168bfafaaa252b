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

-- +goose Down
DROP TABLE shipments;
