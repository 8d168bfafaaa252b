-- +goose Up
-- Who changed what: see package auditlog. The service's own role may add entries and read them, and may neither change nor
-- delete any. So it may not choose their time either.
CREATE TABLE audit_log (
  id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor     text        NOT NULL,
  operation text        NOT NULL,
  subject   text        NOT NULL,
  details   jsonb       NOT NULL DEFAULT '{}',
  address   text        NOT NULL DEFAULT ''
);
CREATE INDEX audit_log_subject ON audit_log (subject, id);

-- Retention: deletes entries that are older than both the interval and 30 days. It looks at the oldest ones only, at_most so many.
-- It runs with the rights of its owner, because the service's role may not delete.
-- +goose StatementBegin
CREATE FUNCTION prune_audit_log(older interval, at_most integer) RETURNS bigint LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
  WITH gone AS (
    DELETE FROM audit_log USING (SELECT o.id FROM audit_log AS o ORDER BY o.id LIMIT at_most) AS oldest
    WHERE audit_log.id = oldest.id AND at < now() - greatest(older, interval '30 days') RETURNING 1)
  SELECT count(*) FROM gone;
END;
-- +goose StatementEnd

-- Erasure: puts a pseudonym for a user's name, as the actor and as the subject of an operation on users, and clears the address.
-- The pseudonym has the form that package erasure makes, so no entry can be put on another user.
-- +goose StatementBegin
CREATE FUNCTION pseudonymise_audit_log(user_name text, pseudonym text) RETURNS bigint LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
  WITH changed AS (
    UPDATE audit_log SET
      address = CASE WHEN actor = 'user:' || user_name THEN '' ELSE address END,
      actor = CASE WHEN actor = 'user:' || user_name THEN 'user:' || pseudonym ELSE actor END,
      subject = CASE WHEN operation LIKE 'user.%' AND subject = user_name THEN pseudonym ELSE subject END
    WHERE pseudonym ~ '^erased-[0-9a-f]{32}$' AND (actor = 'user:' || user_name OR operation LIKE 'user.%' AND subject = user_name)
    RETURNING 1)
  SELECT count(*) FROM changed;
END;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION prune_audit_log(interval, integer), pseudonymise_audit_log(text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION pseudonymise_audit_log(text, text);
DROP FUNCTION prune_audit_log(interval, integer);
DROP TABLE audit_log;
