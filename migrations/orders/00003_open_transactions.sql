-- What is changed or deleted all the time must be found without walking over what it was before: while a transaction is
-- open for long, Postgres cannot clear old rows away, and each of them stands in the indexes.

-- +goose Up

-- Each change of a product's pieces is a new version. The newest one is at the end of the key, so it is found at once, and
-- the one to be changed by its own key.
ALTER TABLE inventory DROP CONSTRAINT inventory_pkey;
ALTER TABLE inventory ADD COLUMN version bigint NOT NULL DEFAULT 0;
ALTER TABLE inventory ADD PRIMARY KEY (sku, version);
ALTER TABLE inventory RESET (fillfactor); -- a new version is in a new place of the key anyway

-- A product has one row. A unique index on the sku alone would look at all its former versions.
-- +goose StatementBegin
CREATE FUNCTION inventory_sku_once() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('pasdetrois.orders.product:' || NEW.sku, 0));
  IF (SELECT count(*) FROM inventory WHERE sku = NEW.sku) > 1 THEN
    RAISE unique_violation USING MESSAGE = format('product %s is there already', NEW.sku), CONSTRAINT = 'inventory_sku_once',
      TABLE = 'inventory', SCHEMA = TG_TABLE_SCHEMA;
  END IF;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER inventory_sku_once AFTER INSERT OR UPDATE OF sku ON inventory FOR EACH ROW EXECUTE FUNCTION inventory_sku_once();

-- An index that nothing but the reads in its order can use. To a planner that last saw the outbox empty, reading all of
-- another index looks as cheap as finding rows by their ids.
DROP INDEX outbox_commit_order;
CREATE INDEX outbox_commit_order ON outbox (xid, id) WHERE xid > '0'::xid8;

-- +goose Down
DROP INDEX outbox_commit_order;
CREATE INDEX outbox_commit_order ON outbox (xid, id);
DROP TRIGGER inventory_sku_once ON inventory;
DROP FUNCTION inventory_sku_once();
ALTER TABLE inventory DROP CONSTRAINT inventory_pkey;
ALTER TABLE inventory DROP COLUMN version;
ALTER TABLE inventory ADD PRIMARY KEY (sku);
ALTER TABLE inventory SET (fillfactor = 50);
