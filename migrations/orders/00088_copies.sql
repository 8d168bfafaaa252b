-- +goose Up
-- A record is known by its topic, time, key, value and headers, not by its place: a copy of the topic in another cluster has
-- other partitions and offsets. Only a record without a time, or a batch that could not be read, counts by its place as well.

ALTER TABLE dead_letters
  ADD COLUMN content bytea NOT NULL GENERATED ALWAYS AS (sha256(
    coalesce(sha256(key), '\x00') || coalesce(value_sha256, sha256(value), '\x00') || int8send(jsonb_hash_extended(headers, 0))
    || int8send(coalesce(key_bytes, 0)) || int8send(coalesce(headers_bytes, 0))
    || CASE WHEN record_time < to_timestamp(0) OR last_offset IS NOT NULL THEN int4send(partition) || int8send(record_offset) ELSE '' END)) STORED,
  ADD COLUMN twin integer NOT NULL DEFAULT 0; -- counts letters that were equal before this rule; 0 since then

UPDATE dead_letters SET twin = n FROM (
  SELECT id AS equal, row_number() OVER (PARTITION BY topic, record_time, content ORDER BY id) - 1 AS n FROM dead_letters) AS counted
WHERE id = equal AND n > 0;

ALTER TABLE dead_letters DROP CONSTRAINT dead_letter_parked_once;
ALTER TABLE dead_letters ADD CONSTRAINT dead_letter_parked_once UNIQUE (topic, record_time, content, twin);

-- +goose Down
ALTER TABLE dead_letters DROP CONSTRAINT dead_letter_parked_once;
ALTER TABLE dead_letters DROP COLUMN content, DROP COLUMN twin;
ALTER TABLE dead_letters ADD CONSTRAINT dead_letter_parked_once UNIQUE (topic, partition, record_offset, record_time);
