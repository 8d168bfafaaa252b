-- +goose Up
-- An Idempotency-Key belongs to its user: two users may choose the same one. '' = the request had no user. The key stands first in
-- the index, so that a replica of an earlier version, which looks for the key alone, finds it there too.
ALTER TABLE idempotency_keys ADD COLUMN user_id text NOT NULL DEFAULT '';
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey, ADD PRIMARY KEY (key, user_id);

-- +goose Down
-- Keys of users would be those of everybody.
DELETE FROM idempotency_keys WHERE user_id <> '';
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey, ADD PRIMARY KEY (key);
ALTER TABLE idempotency_keys DROP COLUMN user_id;
