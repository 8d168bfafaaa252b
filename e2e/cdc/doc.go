// Package cdc runs change data capture as deploy/cdc describes it: Debezium's connector in Kafka Connect, on a Postgres
// with logical replication and a real Kafka. It proves what docs/cdc.md promises, and that its runbook works.
//
// The test has the build tag cdc, because it needs Java, Maven and a Kafka: `make test SUITE=cdc`.
package cdc
