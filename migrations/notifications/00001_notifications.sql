-- What the notifications service keeps: one row for each notification, and the messages it could not use.

-- +goose Up
CREATE TABLE notifications (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id      text        NOT NULL, -- of the message that asked for it
    order_id        text,
    kind            text,
    user_id         text        NOT NULL,
    recipient       text        NOT NULL,
    message         text        NOT NULL,
    channel         text        NOT NULL,
    status          text        NOT NULL DEFAULT 'pending',
    reason          text        NOT NULL DEFAULT '', -- of the latest attempt that failed
    attempts        integer     NOT NULL DEFAULT 0,  -- to send it, that are known to have ended
    claim           integer     NOT NULL DEFAULT 1,  -- number of the latest claim, so that a late owner knows it is late
    next_attempt_at timestamptz NOT NULL,            -- while pending: the end of the lease or of the pause
    requested_at    timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    sent_at         timestamptz,
    CONSTRAINT notification_status CHECK (status IN ('pending', 'sent', 'failed')),
    CONSTRAINT notification_channel CHECK (channel IN ('email')),
    CONSTRAINT notification_sent_has_time CHECK ((status = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT notification_failed_has_reason CHECK (status <> 'failed' OR reason <> ''),
    -- NULLs differ from each other here: without an order or a kind the next index decides.
    CONSTRAINT notification_once_per_order_and_kind UNIQUE (order_id, kind)
);

CREATE UNIQUE INDEX notification_once_per_message ON notifications (message_id) WHERE order_id IS NULL OR kind IS NULL;

-- What is due. It holds only what is not settled yet, so it stays small however long the history grows.
CREATE INDEX notifications_due ON notifications (next_attempt_at) WHERE status = 'pending';

CREATE INDEX notifications_of_user ON notifications (user_id, id DESC);

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
    claimed_at    timestamptz, -- by a replica that replays it just now
    CONSTRAINT dead_letter_parked_once UNIQUE (topic, partition, record_offset, record_time)
);

CREATE INDEX dead_letters_open ON dead_letters (id) WHERE state IN ('parked', 'replaying');

-- +goose Down
DROP TABLE dead_letters;
DROP TABLE notifications;
