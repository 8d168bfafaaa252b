-- +goose Up

-- The catalogue and where its pieces are. Rows are locked in the order of their skus.
CREATE TABLE inventory (
  sku         text   PRIMARY KEY,
  name        text   NOT NULL,
  price_minor bigint NOT NULL
              CONSTRAINT inventory_price_positive CHECK (price_minor > 0),
  currency    text   NOT NULL
              CONSTRAINT inventory_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
  available   bigint NOT NULL DEFAULT 0
              CONSTRAINT inventory_available_not_negative CHECK (available >= 0),
  reserved    bigint NOT NULL DEFAULT 0
              CONSTRAINT inventory_reserved_not_negative CHECK (reserved >= 0),
  sold        bigint NOT NULL DEFAULT 0
              CONSTRAINT inventory_sold_not_negative CHECK (sold >= 0),
  stocked     bigint NOT NULL DEFAULT 0
              CONSTRAINT inventory_stocked_not_negative CHECK (stocked >= 0),
  CONSTRAINT inventory_pieces_add_up CHECK (available + reserved + sold = stocked)
) WITH (fillfactor = 50); -- few rows, changed all the time: room for new versions beside the old ones

CREATE TABLE orders (
  order_id       text        PRIMARY KEY,
  user_id        text        NOT NULL,
  total_minor    bigint      NOT NULL -- 0: it could not be priced
                 CONSTRAINT order_total_not_negative CHECK (total_minor >= 0),
  currency       text        NOT NULL
                 CONSTRAINT order_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
  payment_method text        NOT NULL DEFAULT '',
  email          text        NOT NULL DEFAULT '',
  status         text        NOT NULL
                 CONSTRAINT order_status CHECK (status IN
                   ('pending', 'awaiting_payment', 'confirmed', 'rejected', 'failed', 'cancelling', 'cancelled')),
  reason         text        NOT NULL DEFAULT '',
  stock          text        NOT NULL DEFAULT 'none'
                 CONSTRAINT order_stock CHECK (stock IN ('none', 'reserved', 'sold')),
  payment_id     text        NOT NULL DEFAULT '',
  late_payment   boolean     NOT NULL DEFAULT false, -- paid after it had ended; asked back
  decided_by     text        NOT NULL, -- event or trigger that led to the status
  version        bigint      NOT NULL, -- = number of the newest order_events row
  created_at     timestamptz NOT NULL, -- when we received it
  updated_at     timestamptz NOT NULL,
  status_at      timestamptz NOT NULL,
  due_at         timestamptz, -- when a sweeper has to look after it
  nudges         integer     NOT NULL DEFAULT 0,
  trace_parent   text        NOT NULL DEFAULT '',
  CONSTRAINT order_reason_when_it_did_not_work_out
    CHECK ((reason <> '') = (status IN ('rejected', 'failed', 'cancelling', 'cancelled'))),
  CONSTRAINT order_holds_stock_only_while_open
    CHECK (stock <> 'reserved' OR status IN ('awaiting_payment', 'cancelling')),
  CONSTRAINT order_sold_only_when_paid
    CHECK (stock <> 'sold' OR (status IN ('confirmed', 'cancelling') AND payment_id <> '')),
  CONSTRAINT order_confirmed_only_when_paid CHECK (status <> 'confirmed' OR payment_id <> ''),
  CONSTRAINT order_open_only_when_priced
    CHECK (status NOT IN ('pending', 'awaiting_payment', 'confirmed') OR total_minor > 0)
) WITH (fillfactor = 80);

-- GET /orders: newest first, of one user, in one status, or all.
CREATE INDEX orders_of_user ON orders (user_id, created_at DESC, order_id DESC);
CREATE INDEX orders_in_status ON orders (status, created_at DESC, order_id DESC);
CREATE INDEX orders_newest ON orders (created_at DESC, order_id DESC);
-- The sweepers.
CREATE INDEX orders_due ON orders (status, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE order_lines (
  order_id         text    NOT NULL REFERENCES orders,
  line             integer NOT NULL
                   CONSTRAINT order_line_number CHECK (line BETWEEN 1 AND 100),
  sku              text    NOT NULL, -- not necessarily one that we sell
  quantity         integer NOT NULL
                   CONSTRAINT order_line_quantity CHECK (quantity BETWEEN 1 AND 1000),
  unit_price_minor bigint -- NULL: it could not be priced
                   CONSTRAINT order_line_price_positive CHECK (unit_price_minor > 0),
  PRIMARY KEY (order_id, line),
  CONSTRAINT order_line_sku_once UNIQUE (order_id, sku)
);

-- The timeline of each order, and the audit trail: one row per change, in the transaction of the change.
CREATE TABLE order_events (
  order_id    text        NOT NULL REFERENCES orders,
  number      bigint      NOT NULL
              CONSTRAINT order_event_number_positive CHECK (number > 0),
  event       text        NOT NULL,
  status_from text        NOT NULL, -- '' on the first
  status_to   text        NOT NULL
              CONSTRAINT order_event_status CHECK (status_to IN
                ('pending', 'awaiting_payment', 'confirmed', 'rejected', 'failed', 'cancelling', 'cancelled')),
  detail      text        NOT NULL DEFAULT '',
  at          timestamptz NOT NULL,
  PRIMARY KEY (order_id, number)
);

-- Messages about orders that do not exist yet, as they were read.
CREATE TABLE held_messages (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id      text        NOT NULL,
  event         text        NOT NULL,
  topic         text        NOT NULL,
  partition     integer     NOT NULL,
  record_offset bigint      NOT NULL,
  record_time   timestamptz NOT NULL,
  key           bytea,
  value         bytea,
  headers       jsonb       NOT NULL DEFAULT '[]',
  held_at       timestamptz NOT NULL,
  CONSTRAINT held_message_once UNIQUE (topic, partition, record_offset, record_time)
);

CREATE INDEX held_messages_of_order ON held_messages (order_id);
CREATE INDEX held_messages_oldest ON held_messages (held_at);

-- The answers given under an Idempotency-Key, to give again.
CREATE TABLE idempotency_keys (
  key           text        PRIMARY KEY,
  request_hash  bytea       NOT NULL,
  status_code   integer     NOT NULL
                CONSTRAINT idempotency_status_code CHECK (status_code BETWEEN 200 AND 299),
  location      text        NOT NULL,
  etag          text        NOT NULL,
  body          bytea       NOT NULL,
  running_until timestamptz, -- until then another answer may replace this one
  created_at    timestamptz NOT NULL
);

CREATE INDEX idempotency_keys_oldest ON idempotency_keys (created_at);

-- Messages that were decided on and are not known to be published yet.
CREATE TABLE outbox (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
  topic      text        NOT NULL,
  key        bytea,
  value      bytea       NOT NULL,
  headers    jsonb       NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The order in which the relay's recovery reads: no row can appear behind it.
CREATE INDEX outbox_commit_order ON outbox (xid, id);

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

-- A small catalogue, so that the first order works. turntable-limited is the last of its kind; turntable-signature costs
-- more than payments lets pass without suspecting fraud.
INSERT INTO inventory (sku, name, price_minor, currency, available, stocked) VALUES
  ('vinyl-swan-lake',     'Swan Lake, 2 LP',                 4999, 'USD', 500, 500),
  ('vinyl-nutcracker',    'The Nutcracker, 2 LP',            3450, 'USD', 250, 250),
  ('record-brush',        'Carbon fibre record brush',       1290, 'USD', 1000, 1000),
  ('headphones-studio',   'Studio headphones',              14900, 'USD', 80, 80),
  ('speaker-pair',        'Bookshelf speakers, pair',       32900, 'USD', 40, 40),
  ('turntable-classic',   'Turntable Classic',              24900, 'USD', 25, 25),
  ('turntable-limited',   'Turntable, numbered edition',    59900, 'USD', 1, 1),
  ('turntable-signature', 'Turntable, signature edition',  129900, 'USD', 5, 5);

-- +goose Down
DROP TABLE dead_letters;
DROP TABLE outbox;
DROP TABLE idempotency_keys;
DROP TABLE held_messages;
DROP TABLE order_events;
DROP TABLE order_lines;
DROP TABLE orders;
DROP TABLE inventory;
