// Command idiomatic is a peer for the benchmark: the choreography of orders, payments and notifications as watermill's
// own documentation recommends to write it. One message is one transaction, and what a transaction publishes goes into
// the database with it; watermill's Forwarder takes it on to Kafka. README.md says which page recommends what.
//
//	idiomatic [orders|payments|notifications]   run one service, or all three in this process
//	idiomatic audit                             count what the database holds, as JSON
package main
