-- +goose Up
-- Whether the topic has the product as it is. A product that nobody changed since the first migration made it needs no event:
-- every system begins with it. Each other product is announced by a sweep, also one that was inserted by hand.
ALTER TABLE inventory ADD COLUMN announced boolean NOT NULL DEFAULT false;

UPDATE inventory AS i SET announced = true FROM (VALUES
  ('vinyl-swan-lake',     'Swan Lake, 2 LP',                 4999, 500),
  ('vinyl-nutcracker',    'The Nutcracker, 2 LP',            3450, 250),
  ('record-brush',        'Carbon fibre record brush',       1290, 1000),
  ('headphones-studio',   'Studio headphones',              14900, 80),
  ('speaker-pair',        'Bookshelf speakers, pair',       32900, 40),
  ('turntable-classic',   'Turntable Classic',              24900, 25),
  ('turntable-limited',   'Turntable, numbered edition',    59900, 1),
  ('turntable-signature', 'Turntable, signature edition',  129900, 5)
) AS first (sku, name, price_minor, stocked)
WHERE i.sku = first.sku AND i.name = first.name AND i.price_minor = first.price_minor AND i.currency = 'USD'
  AND i.stocked = first.stocked;

-- The sweep finds nothing without reading the rows that each sold piece leaves behind.
CREATE INDEX inventory_unannounced ON inventory (sku) WHERE NOT announced;

-- A writer that raises the version publishes the event of its change. Another one, such as an earlier version of the service or a
-- hand, leaves it to the sweep. Orders that move pieces set none of these columns, so they do not pay for this.
-- +goose StatementBegin
CREATE FUNCTION inventory_to_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.announced := NEW.version > OLD.version;
  RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER inventory_to_announce BEFORE UPDATE OF name, price_minor, currency, stocked ON inventory
FOR EACH ROW EXECUTE FUNCTION inventory_to_announce();

-- +goose Down
DROP TRIGGER inventory_to_announce ON inventory;
DROP FUNCTION inventory_to_announce();
DROP INDEX inventory_unannounced;
ALTER TABLE inventory DROP COLUMN announced;
