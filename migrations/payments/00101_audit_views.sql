-- +goose Up
-- Views for the auditor (`pas audit`). They are all that a tool reads of this schema: tables may change, views stay.

CREATE VIEW audit_payments AS
SELECT order_id, user_id, status, reason, currency, payment_id, amount_minor, outside, updated_at FROM payments;

-- The simulated provider's entries. It stands for an outside system, which would have a statement of its own.
CREATE VIEW audit_provider_ledger AS
SELECT payment_id, order_id, status, currency, amount_minor, charge_calls, refund_calls, created_at, refunded_at FROM provider_ledger;

-- Dead letters: where each record is, and what it contains. A letter may stand for a whole batch, first to last_offset. content
-- is NULL when a letter is known by its position alone: a record without a time, or one that is not kept whole.
CREATE VIEW audit_dead_letters AS
SELECT id, topic, partition, record_offset, coalesce(last_offset, record_offset) AS last_offset, record_time, reason,
  state IN ('parked', 'replaying') AS open,
  CASE WHEN record_time < to_timestamp(0) OR last_offset IS NOT NULL OR key_bytes IS NOT NULL THEN NULL
    ELSE sha256(coalesce(sha256(key), '\x00') || coalesce(value_sha256, sha256(value), '\x00')) END AS content
FROM dead_letters;

GRANT SELECT ON audit_payments, audit_provider_ledger, audit_dead_letters TO auditor;

-- +goose Down
DROP VIEW audit_payments, audit_provider_ledger, audit_dead_letters;
