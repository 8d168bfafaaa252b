-- The tables that every service has in its own schema. A new service's first migration makes them.

-- Records that no retry can handle: see package deadletter.
CREATE TABLE dead_letters (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic         text        NOT NULL,
  partition     integer     NOT NULL,
  record_offset bigint      NOT NULL,
  record_time   timestamptz NOT NULL,
  key           bytea,
  value         bytea,
  headers       jsonb       NOT NULL DEFAULT '[]',
  reason        text        NOT NULL,
  detail        text        NOT NULL,
  stack         text        NOT NULL DEFAULT '',
  state         text        NOT NULL DEFAULT 'parked'
                CONSTRAINT dead_letter_state CHECK (state IN ('parked', 'replaying', 'replayed', 'discarded')),
  attempts      integer     NOT NULL DEFAULT 0,
  parked_at     timestamptz NOT NULL DEFAULT now(),
  changed_at    timestamptz NOT NULL DEFAULT now(),
  claimed_at    timestamptz,                    -- by a replica that replays it just now
  last_offset   bigint,                         -- of a batch that could not be read: the letter stands for all of it
  value_bytes   bigint,
  value_sha256  bytea,                          -- of the whole value
  key_bytes     bigint,
  headers_bytes bigint,
  stored_bytes  bigint      NOT NULL DEFAULT 0, -- what the letter takes, for the table's bound
  content       bytea       NOT NULL GENERATED ALWAYS AS (sha256(
    coalesce(sha256(key), '\x00') || coalesce(value_sha256, sha256(value), '\x00') || int8send(jsonb_hash_extended(headers, 0))
    || int8send(coalesce(key_bytes, 0)) || int8send(coalesce(headers_bytes, 0))
    || CASE WHEN record_time < to_timestamp(0) OR last_offset IS NOT NULL THEN int4send(partition) || int8send(record_offset) ELSE '' END)) STORED,
  twin          integer     NOT NULL DEFAULT 0, -- letters that are equal, from before this rule; 0 in a new schema
  CONSTRAINT dead_letter_parked_once UNIQUE (topic, record_time, content, twin)
);
CREATE INDEX dead_letters_open ON dead_letters (id) WHERE state IN ('parked', 'replaying');
CREATE INDEX dead_letters_room ON dead_letters (state, id) INCLUDE (reason, stored_bytes);

-- One row for each replica that lives, its lease: see package presence.
CREATE UNLOGGED TABLE replicas (
    name       text        NOT NULL PRIMARY KEY,
    renewed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

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

-- What `pas rebuild` has read of the topics and not handed over yet: see package rebuild. UNLOGGED, because after a crash of
-- the database the topics are read again. Each row has the compressed records of one bucket of keys.
CREATE UNLOGGED TABLE rebuild_records (
  bucket  integer NOT NULL,
  bytes   bigint  NOT NULL, -- inflated
  records bytea   NOT NULL
);
ALTER TABLE rebuild_records ALTER COLUMN records SET STORAGE EXTERNAL;
CREATE INDEX rebuild_records_bucket ON rebuild_records (bucket);

-- How far each partition was read. It changes in the transaction that adds the records.
CREATE UNLOGGED TABLE rebuild_progress (
  topic       text    NOT NULL,
  partition   integer NOT NULL,
  topic_id    text    NOT NULL, -- '' = Kafka has none
  next_offset bigint  NOT NULL,
  unreadable  bigint,           -- the first record that no service could read, and that no dead letter explains
  committed   bigint,           -- by the service's group before the rebuild
  firsts      jsonb   NOT NULL DEFAULT '{}', -- offset of the first staged record, by event
  PRIMARY KEY (topic, partition)
);

-- The one rebuild that runs.
CREATE UNLOGGED TABLE rebuild_lease (
  single boolean     PRIMARY KEY DEFAULT true CONSTRAINT rebuild_runs_once CHECK (single),
  holder text        NOT NULL,
  until  timestamptz NOT NULL
);
