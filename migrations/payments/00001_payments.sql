-- +goose Up

-- One row for each order that anybody asked money of, or asked money back for. The first decision about an order is its
-- row: PRIMARY KEY (order_id) is what makes a message that is delivered twice, or to two replicas at once, count once.
CREATE TABLE payments (
  order_id       text        PRIMARY KEY,
  user_id        text        NOT NULL,
  amount_minor   bigint      NOT NULL
                 CONSTRAINT payment_amount_positive CHECK (amount_minor > 0),
  currency       text        NOT NULL
                 CONSTRAINT payment_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
  payment_method text        NOT NULL DEFAULT '', -- '' on a tombstone: it was never asked for
  status         text        NOT NULL
                 CONSTRAINT payment_status CHECK (status IN ('captured', 'failed', 'refunded', 'voided')),
  reason         text        NOT NULL DEFAULT '', -- why it failed, was refunded or voided
  payment_id     text        NOT NULL DEFAULT '', -- the provider's name for the charge
  created_at     timestamptz NOT NULL,
  updated_at     timestamptz NOT NULL,
  CONSTRAINT payment_id_when_money_was_taken CHECK ((payment_id <> '') = (status IN ('captured', 'refunded'))),
  CONSTRAINT payment_reason_unless_captured CHECK ((reason = '') = (status = 'captured'))
);

-- Both orders of GET /payments: newest first, of one user or of all.
CREATE INDEX payments_of_user ON payments (user_id, created_at DESC, order_id DESC);
CREATE INDEX payments_newest ON payments (created_at DESC, order_id DESC);

-- The simulated provider's own books. Nothing but the provider reads or writes them, on connections of its own. One row
-- for each idempotency key. order_id is only what the caller said the charge is for, and deliberately not unique: money
-- taken twice for one order would stand here as two rows.
CREATE TABLE provider_ledger (
  payment_id      text        PRIMARY KEY,
  idempotency_key text        NOT NULL
                  CONSTRAINT provider_key_used_once UNIQUE,
  order_id        text        NOT NULL,
  user_id         text        NOT NULL,
  amount_minor    bigint      NOT NULL
                  CONSTRAINT provider_amount_positive CHECK (amount_minor > 0),
  currency        text        NOT NULL,
  payment_method  text        NOT NULL,
  status          text        NOT NULL -- erring: asked for, nothing taken yet
                  CONSTRAINT provider_status CHECK (status IN ('erring', 'charged', 'declined', 'refunded')),
  decline_reason  text        NOT NULL DEFAULT '',
  charge_calls    integer     NOT NULL DEFAULT 1, -- how often the charge was asked for under this key
  refund_calls    integer     NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  refunded_at     timestamptz,
  CONSTRAINT provider_decline_has_reason CHECK ((decline_reason <> '') = (status = 'declined')),
  CONSTRAINT provider_refund_has_time CHECK ((refunded_at IS NOT NULL) = (status = 'refunded'))
);

CREATE INDEX provider_ledger_by_order ON provider_ledger (order_id);

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
DROP TABLE provider_ledger;
DROP TABLE payments;
