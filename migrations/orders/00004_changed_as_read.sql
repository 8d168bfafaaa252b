-- +goose Up

-- Stops the transaction when a statement did not change each of the rows that it was meant to: they are not as they were
-- read. The statement before a COMMIT has to say so itself, where nobody waits for its answer between the two.
-- +goose StatementBegin
CREATE FUNCTION must_change(changed bigint, wanted bigint, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF changed <> wanted THEN
    RAISE EXCEPTION '% of %: % is not as it was read', wanted - changed, wanted, what;
  END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION must_change(bigint, bigint, text);
