-- +goose Up
-- The outbox is read by its ids, so the primary key is enough.
DROP INDEX outbox_commit_order;

-- Whose turn it is to publish what was left in the outbox. One row, or none.
CREATE TABLE outbox_lease (
  single boolean     PRIMARY KEY DEFAULT true CONSTRAINT outbox_lease_one_row CHECK (single),
  holder text        NOT NULL,
  until  timestamptz NOT NULL
);
GRANT SELECT ON outbox_lease TO auditor;

-- +goose Down
DROP TABLE outbox_lease;
CREATE INDEX outbox_commit_order ON outbox (xid, id) WHERE xid > '0'::xid8;
