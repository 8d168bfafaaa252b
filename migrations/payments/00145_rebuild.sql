-- +goose Up
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

-- +goose Down
DROP TABLE rebuild_records, rebuild_progress, rebuild_lease;
