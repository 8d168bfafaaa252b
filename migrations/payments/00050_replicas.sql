-- +goose Up

-- One row for each replica that lives: its lease, renewed twice a second. UNLOGGED, because a lease that survives a crash of
-- the database says nothing about who lives, and because a renewal need not wait for any disk.
CREATE UNLOGGED TABLE replicas (
    name       text        NOT NULL PRIMARY KEY,
    renewed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- +goose Down
DROP TABLE replicas;
