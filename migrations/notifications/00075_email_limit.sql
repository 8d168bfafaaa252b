-- How many emails one mailbox gets within an hour is limited. What exceeds that waits for a time of its own.

-- +goose Up
ALTER TABLE notifications ADD COLUMN slot_at timestamptz; -- while it waits: the time that its mailbox has room for it

-- One row for each mailbox that was written to within the last hour, or that emails wait for: the times of those emails.
-- It is logged, because up to a day of times to come must outlive a crash: newcomers would get them once more.
CREATE TABLE mailboxes (
    mailbox text          NOT NULL PRIMARY KEY,
    slots   timestamptz[] NOT NULL
);

-- +goose Down
DROP TABLE mailboxes;
ALTER TABLE notifications DROP COLUMN slot_at;
