-- +goose Up
-- Users who were erased: see package erasure. The name of the user is in no row: who has the key finds the pseudonym of a name.
CREATE TABLE erasures (
  pseudonym text        PRIMARY KEY
            CONSTRAINT erasure_pseudonym CHECK (pseudonym ~ '^erased-[0-9a-f]{32}$'),
  key_id    text        NOT NULL, -- names the key
  erased_at timestamptz NOT NULL, -- the latest time; records that are not younger are read as the pseudonym's
  times     integer     NOT NULL DEFAULT 1,
  counts    jsonb       NOT NULL  -- rows by kind, of all times
);

-- Where the dead letters of erased users were read. The topics have these records still, so the audit and a rebuild need to find
-- that they were never handled. Nothing of their content is here.
CREATE TABLE erased_letters (
  topic         text        NOT NULL,
  partition     integer     NOT NULL,
  record_offset bigint      NOT NULL,
  last_offset   bigint      NOT NULL, -- of a batch that could not be read, else record_offset
  record_time   timestamptz NOT NULL,
  reason        text        NOT NULL,
  replayed      boolean     NOT NULL, -- the record was handled in the end
  PRIMARY KEY (topic, partition, record_offset, record_time)
);

CREATE OR REPLACE VIEW audit_dead_letters AS
SELECT id, topic, partition, record_offset, coalesce(last_offset, record_offset) AS last_offset, record_time, reason,
  state IN ('parked', 'replaying') AS open,
  CASE WHEN record_time < to_timestamp(0) OR last_offset IS NOT NULL OR key_bytes IS NOT NULL THEN NULL
    ELSE sha256(coalesce(sha256(key), '\x00') || coalesce(value_sha256, sha256(value), '\x00')) END AS content
FROM dead_letters
UNION ALL
SELECT NULL, topic, partition, record_offset, last_offset, record_time, reason, false, NULL FROM erased_letters;

-- +goose Down
CREATE OR REPLACE VIEW audit_dead_letters AS
SELECT id, topic, partition, record_offset, coalesce(last_offset, record_offset) AS last_offset, record_time, reason,
  state IN ('parked', 'replaying') AS open,
  CASE WHEN record_time < to_timestamp(0) OR last_offset IS NOT NULL OR key_bytes IS NOT NULL THEN NULL
    ELSE sha256(coalesce(sha256(key), '\x00') || coalesce(value_sha256, sha256(value), '\x00')) END AS content
FROM dead_letters;
DROP TABLE erased_letters, erasures;
