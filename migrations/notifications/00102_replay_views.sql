-- +goose Up
-- Views for `pas replay`: one for each kind of row that a replay must not change. Each row has a key, in which order the rows are
-- compared; what it is about, which messages that explain a difference name; whether it is settled; what brought it to its
-- state without a message ('' when a message did); its state in words; and a digest of all of it.

CREATE VIEW replay_notifications AS
SELECT lpad(id::text, 19, '0') AS key, coalesce(order_id, message_id) AS about, status <> 'pending' AS settled, '' AS alone,
  status || ', ' || coalesce(kind, 'no kind') || ' of ' || coalesce('order ' || order_id, 'message ' || message_id) AS state, md5(n::text) AS digest
FROM notifications n;

CREATE VIEW replay_dead_letters AS
SELECT topic || '/' || partition || '@' || record_offset AS key, '' AS about, true AS settled, '' AS alone, 'parked as ' || reason AS state,
  md5(concat_ws(' ', reason, record_time, key, value)) AS digest
FROM dead_letters;

GRANT SELECT ON replay_notifications, replay_dead_letters TO auditor;

-- +goose Down
DROP VIEW replay_notifications, replay_dead_letters;
