CREATE SCHEMA IF NOT EXISTS orders;
CREATE SCHEMA IF NOT EXISTS payments;
CREATE SCHEMA IF NOT EXISTS notifications;

CREATE TABLE IF NOT EXISTS orders.inventory (
  sku         text   PRIMARY KEY,
  name        text   NOT NULL,
  price_minor bigint NOT NULL CHECK (price_minor > 0),
  available   bigint NOT NULL CHECK (available >= 0),
  reserved    bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  sold        bigint NOT NULL DEFAULT 0 CHECK (sold >= 0),
  stocked     bigint NOT NULL,
  CONSTRAINT inventory_pieces_add_up CHECK (available + reserved + sold = stocked)
) WITH (fillfactor = 50); -- few rows, changed all the time

CREATE TABLE IF NOT EXISTS orders.orders (
  order_id    text        PRIMARY KEY,
  user_id     text        NOT NULL,
  total_minor bigint      NOT NULL CHECK (total_minor > 0),
  currency    text        NOT NULL,
  status      text        NOT NULL CHECK (status IN ('pending', 'awaiting_payment', 'confirmed', 'rejected', 'failed')),
  reason      text        NOT NULL DEFAULT '',
  payment_id  text        NOT NULL DEFAULT '',
  version     bigint      NOT NULL DEFAULT 1,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);

CREATE TABLE IF NOT EXISTS orders.order_lines (
  order_id         text    NOT NULL REFERENCES orders.orders,
  line             integer NOT NULL,
  sku              text    NOT NULL,
  quantity         integer NOT NULL CHECK (quantity > 0),
  unit_price_minor bigint  NOT NULL,
  PRIMARY KEY (order_id, line)
);

CREATE TABLE IF NOT EXISTS orders.order_events (
  order_id    text        NOT NULL REFERENCES orders.orders,
  number      bigint      NOT NULL,
  event       text        NOT NULL,
  status_from text        NOT NULL,
  status_to   text        NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (order_id, number)
);

CREATE TABLE IF NOT EXISTS payments.payments (
  order_id     text        PRIMARY KEY,
  user_id      text        NOT NULL,
  amount_minor bigint      NOT NULL CHECK (amount_minor > 0),
  currency     text        NOT NULL,
  status       text        NOT NULL CHECK (status IN ('captured', 'failed')),
  reason       text        NOT NULL DEFAULT '',
  payment_id   text        NOT NULL DEFAULT '',
  created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS payments.provider_ledger (
  payment_id      text        PRIMARY KEY,
  idempotency_key text        NOT NULL UNIQUE,
  amount_minor    bigint      NOT NULL CHECK (amount_minor > 0),
  currency        text        NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS notifications.notifications (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id text        NOT NULL,
  order_id   text        NOT NULL,
  kind       text        NOT NULL,
  user_id    text        NOT NULL,
  message    text        NOT NULL,
  sent_at    timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT notification_once_per_order_and_kind UNIQUE (order_id, kind)
);

INSERT INTO orders.inventory (sku, name, price_minor, available, stocked)
VALUES ('vinyl-swan-lake', 'Swan Lake, 2 LP', 4999, 1000000000, 1000000000)
ON CONFLICT (sku) DO NOTHING;
