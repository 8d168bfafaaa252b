-- How many emails one mailbox gets within an hour is limited. What exceeds that waits for a time of its own.

-- +goose Up
ALTER TABLE notifications ADD COLUMN slot_at timestamptz; -- while it waits: the time that its mailbox has room for it

-- One row for each mailbox that was written to within the last hour, or that emails wait for: the times of those emails.
-- UNLOGGED, because a crash of the database may forget an hour's count, and because no email need wait for any disk.
CREATE UNLOGGED TABLE mailboxes (
    mailbox text          NOT NULL PRIMARY KEY,
    slots   timestamptz[] NOT NULL
);

-- +goose Down
DROP TABLE mailboxes;
ALTER TABLE notifications DROP COLUMN slot_at;
