-- The outcome of each email is an event on the topic `notifications`, published before its row is settled.

-- +goose Up
ALTER TABLE notifications
    ADD COLUMN recorded  boolean NOT NULL DEFAULT true, -- false: settled while Kafka was away, so the event is still to be published
    ADD COLUMN failed_at timestamptz;                   -- of the latest failure; NULL in rows that failed before this column existed

-- Publishing an event later is no change of the notification, so `pas replay` compares all columns but those of it.
CREATE OR REPLACE VIEW replay_notifications AS
SELECT lpad(id::text, 19, '0') AS key, coalesce(order_id, message_id) AS about, status <> 'pending' AS settled, '' AS alone,
  status || ', ' || coalesce(kind, 'no kind') || ' of ' || coalesce('order ' || order_id, 'message ' || message_id) AS state,
  md5(ROW(id, message_id, order_id, kind, user_id, recipient, message, channel, status, reason, attempts, claim,
    CASE WHEN status = 'pending' THEN next_attempt_at END, requested_at, created_at, sent_at, failed_at, ordered_at, trace_parent,
    tried_since, slot_at)::text) AS digest
FROM notifications;

-- The auditor finds emails whose event is still to be published.
CREATE OR REPLACE VIEW audit_notifications AS
SELECT id, order_id, coalesce(kind, '') AS kind, status, recipient, message_id, created_at, sent_at, recorded FROM notifications;

-- +goose Down
DROP VIEW audit_notifications;
CREATE VIEW audit_notifications AS
SELECT id, order_id, coalesce(kind, '') AS kind, status, recipient, message_id, created_at, sent_at FROM notifications;
GRANT SELECT ON audit_notifications TO auditor;
CREATE OR REPLACE VIEW replay_notifications AS
SELECT lpad(id::text, 19, '0') AS key, coalesce(order_id, message_id) AS about, status <> 'pending' AS settled, '' AS alone,
  status || ', ' || coalesce(kind, 'no kind') || ' of ' || coalesce('order ' || order_id, 'message ' || message_id) AS state, md5(n::text) AS digest
FROM notifications n;
ALTER TABLE notifications DROP COLUMN recorded, DROP COLUMN failed_at;
