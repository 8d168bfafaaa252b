-- +goose Up
-- Views for `pas replay`: one for each kind of row that a replay must not change. Each row has a key, in which order the rows are
-- compared; what it is about, which messages that explain a difference name; whether it is settled; what brought it to its
-- state without a message ('' when a message did); its state in words; and a digest of all of it.

CREATE VIEW replay_payments AS
SELECT order_id AS key, order_id AS about, true AS settled, '' AS alone, status AS state, md5(p::text) AS digest FROM payments p;

-- The calls to the provider count, too: a replay must not repeat one.
CREATE VIEW replay_provider_ledger AS
SELECT payment_id AS key, order_id AS about, status <> 'erring' AS settled, '' AS alone,
  status || ' for order ' || order_id || ', asked ' || charge_calls || ' times to charge and ' || refund_calls || ' to refund' AS state, md5(l::text) AS digest
FROM provider_ledger l;

CREATE VIEW replay_dead_letters AS
SELECT topic || '/' || partition || '@' || record_offset AS key, '' AS about, true AS settled, '' AS alone, 'parked as ' || reason AS state,
  md5(concat_ws(' ', reason, record_time, key, value)) AS digest
FROM dead_letters;

GRANT SELECT ON replay_payments, replay_provider_ledger, replay_dead_letters TO auditor;

-- +goose Down
DROP VIEW replay_payments, replay_provider_ledger, replay_dead_letters;
