-- +goose Up
-- Retention takes the text and the address from a notification; the row stays, because it is what makes a request count once.
-- `pas replay` compares the rows around it: such a change is nothing that a replay did.
CREATE OR REPLACE VIEW replay_notifications AS
SELECT lpad(id::text, 19, '0') AS key, coalesce(order_id, message_id) AS about, status <> 'pending' AS settled,
  CASE WHEN recipient = '' THEN 'retention' ELSE '' END AS alone,
  status || ', ' || coalesce(kind, 'no kind') || ' of ' || coalesce('order ' || order_id, 'message ' || message_id) AS state,
  md5(ROW(id, message_id, order_id, kind, user_id, recipient, message, channel, status, reason, attempts, claim,
    CASE WHEN status = 'pending' THEN next_attempt_at END, requested_at, created_at, sent_at, failed_at, ordered_at, trace_parent,
    tried_since, slot_at)::text) AS digest
FROM notifications;

-- +goose Down
CREATE OR REPLACE VIEW replay_notifications AS
SELECT lpad(id::text, 19, '0') AS key, coalesce(order_id, message_id) AS about, status <> 'pending' AS settled, '' AS alone,
  status || ', ' || coalesce(kind, 'no kind') || ' of ' || coalesce('order ' || order_id, 'message ' || message_id) AS state,
  md5(ROW(id, message_id, order_id, kind, user_id, recipient, message, channel, status, reason, attempts, claim,
    CASE WHEN status = 'pending' THEN next_attempt_at END, requested_at, created_at, sent_at, failed_at, ordered_at, trace_parent,
    tried_since, slot_at)::text) AS digest
FROM notifications;
