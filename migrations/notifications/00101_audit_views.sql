-- +goose Up
-- Views for the auditor (`pas audit`). They are all that a tool reads of this schema: tables may change, views stay.

CREATE VIEW audit_notifications AS
SELECT id, order_id, coalesce(kind, '') AS kind, status, recipient, message_id, created_at, sent_at FROM notifications;

-- Dead letters: where each record is, and what it contains. A letter may stand for a whole batch, first to last_offset. content
-- is NULL when a letter is known by its position alone: a record without a time, or one that is not kept whole.
CREATE VIEW audit_dead_letters AS
SELECT id, topic, partition, record_offset, coalesce(last_offset, record_offset) AS last_offset, record_time, reason,
  state IN ('parked', 'replaying') AS open,
  CASE WHEN record_time < to_timestamp(0) OR last_offset IS NOT NULL OR key_bytes IS NOT NULL THEN NULL
    ELSE sha256(coalesce(sha256(key), '\x00') || coalesce(value_sha256, sha256(value), '\x00')) END AS content
FROM dead_letters;

GRANT SELECT ON audit_notifications, audit_dead_letters TO auditor;

-- +goose Down
DROP VIEW audit_notifications, audit_dead_letters;
