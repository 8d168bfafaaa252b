// Package moves runs the steps of docs/operations.md for backups, restores and moves to another server, while customers place
// orders: pg_dump, a base backup to a point in time, logical replication, pg_upgrade, and the loss of Kafka. It logs what was
// lost and for how long no order was taken.
//
// Its tests need the build tag moves, a real Kafka (KAFKA_BROKERS), and the programs of two versions of Postgres in the
// folders POSTGRES_OLD and POSTGRES_NEW, which `e2e/moves/install` makes (`make test SUITE=moves` names all of them).
package moves
