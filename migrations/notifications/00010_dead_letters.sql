-- +goose Up
-- A letter keeps a bounded part of its record. What was cut is told by how many bytes the whole had; NULL = kept whole.
ALTER TABLE dead_letters
  ADD COLUMN last_offset   bigint,                     -- of a batch that could not be read: the letter stands for all of it
  ADD COLUMN value_bytes   bigint,
  ADD COLUMN value_sha256  bytea,                      -- of the whole value
  ADD COLUMN key_bytes     bigint,
  ADD COLUMN headers_bytes bigint,
  ADD COLUMN stored_bytes  bigint NOT NULL DEFAULT 0;  -- what the letter takes, for the table's bound

UPDATE dead_letters SET stored_bytes = coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)
  + pg_column_size(headers) + octet_length(detail) + octet_length(stack);

-- Counting, and finding the oldest handled letters, reads this index alone.
CREATE INDEX dead_letters_room ON dead_letters (state, id) INCLUDE (reason, stored_bytes);

-- +goose Down
DROP INDEX dead_letters_room;
ALTER TABLE dead_letters
  DROP COLUMN last_offset, DROP COLUMN value_bytes, DROP COLUMN value_sha256, DROP COLUMN key_bytes,
  DROP COLUMN headers_bytes, DROP COLUMN stored_bytes;
