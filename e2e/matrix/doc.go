// Package matrix runs the three services and the tool on real brokers in every way that a client can be let in: each
// security protocol, each SASL mechanism, each compression, and a cluster that loses a broker under load. Its tests need
// KAFKA_LOCAL, a command that runs Kafka's classes (`make test SUITE=matrix` names it), and the build tag matrix.
package matrix
