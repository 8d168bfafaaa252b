-- +goose Up
-- A record is known by its topic, time, key, value and headers, not by its place: a copy of the topic in another cluster has
-- other partitions and offsets. Only a record without a time counts by its place as well.
-- A file, and so a transaction, of its own: it rewrites a table that the sweeper locks before the dead letters.

ALTER TABLE held_messages
  ADD COLUMN content bytea NOT NULL GENERATED ALWAYS AS (sha256(
    coalesce(sha256(key), '\x00') || coalesce(sha256(value), '\x00') || int8send(jsonb_hash_extended(headers, 0))
    || CASE WHEN record_time < to_timestamp(0) THEN int4send(partition) || int8send(record_offset) ELSE '' END)) STORED,
  ADD COLUMN twin integer NOT NULL DEFAULT 0; -- counts messages that were equal before this rule; 0 since then

UPDATE held_messages SET twin = n FROM (
  SELECT id AS equal, row_number() OVER (PARTITION BY topic, record_time, content ORDER BY id) - 1 AS n FROM held_messages) AS counted
WHERE id = equal AND n > 0;

ALTER TABLE held_messages DROP CONSTRAINT held_message_once;
ALTER TABLE held_messages ADD CONSTRAINT held_message_once UNIQUE (topic, record_time, content, twin);

-- +goose Down
ALTER TABLE held_messages DROP CONSTRAINT held_message_once;
ALTER TABLE held_messages DROP COLUMN content, DROP COLUMN twin;
ALTER TABLE held_messages ADD CONSTRAINT held_message_once UNIQUE (topic, partition, record_offset, record_time);
