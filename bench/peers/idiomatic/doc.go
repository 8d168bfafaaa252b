// Command idiomatic is a peer for the benchmark: the choreography of orders, payments and notifications,
// written as watermill's own documentation recommends. README.md names the page behind each decision.
//
//	idiomatic [orders|payments|notifications]   run one service, or all three in this process
//	idiomatic audit                             count the rows of the database, as JSON
//
// One message is one transaction. A transaction stores its outgoing messages in a table (outbox), and
// watermill's Forwarder moves them to Kafka:
//
//	Kafka -> handler: [rows + outbox messages] in one transaction -> Forwarder -> Kafka
//
// A message is acknowledged after its commit, so it may be redelivered; each handler recognises that by the
// state of its row. The peer must be as durable as the product, or a comparison would be unfair: producers wait
// for all in-sync replicas, and Postgres commits to disk.
package main
