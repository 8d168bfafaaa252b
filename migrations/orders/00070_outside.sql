-- +goose Up
-- Messages about a payment that was asked for from outside wait for their order for as long as it takes. Only the others
-- become dead letters after a minute, so only they are looked for by their age.
ALTER TABLE held_messages ADD COLUMN outside boolean NOT NULL DEFAULT false;
CREATE INDEX held_messages_waiting ON held_messages (held_at) WHERE NOT outside;
DROP INDEX held_messages_oldest;

-- +goose Down
CREATE INDEX held_messages_oldest ON held_messages (held_at);
DROP INDEX held_messages_waiting;
ALTER TABLE held_messages DROP COLUMN outside;
