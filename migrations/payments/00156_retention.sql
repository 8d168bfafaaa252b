-- +goose Up
-- One row for each payment that retention removed, so that no record charges its order again. It is never deleted.
CREATE TABLE removed_payments (
  id       uuid    PRIMARY KEY, -- the first 16 bytes of the SHA-256 of the order's id
  captured boolean NOT NULL     -- its money was kept, so a refund that is requested later is no repetition
);

CREATE VIEW audit_removed AS SELECT id FROM removed_payments;
GRANT SELECT ON audit_removed, removed_payments TO auditor;

-- +goose Down
DROP VIEW audit_removed;
DROP TABLE removed_payments;
