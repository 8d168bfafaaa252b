// Package bus connects use cases to Kafka: a Table names the use case for each event, a Consumer runs it, a Producer
// publishes its results.
//
// # The way of a message
//
//	lanes     one record of each key at a time (package lanes)
//	  v
//	gate      counts records in work; admits none once the drain has begun
//	  v
//	park      stores a record that can never succeed as a dead letter, and acknowledges it
//	  v
//	telemetry measures the time and the result of a record, with all retries
//	  v
//	recover   turns a panic into an error
//	  v
//	retry     repeats a transient failure, with backoff, while the partition is ours
//	  v
//	timeout   bounds one attempt
//	  v
//	dispatch  decodes the record, adds it to its use case's batch, publishes the results
//	  v
//	use case  commits its transaction and returns the messages to publish
//
// The bus acknowledges a record after every in-sync replica has its results. A crash at any point redelivers the record, so
// delivery is at least once. Effects happen once, because use cases decide by state and not by delivery.
//
// # The effect of an error
//
//	kind (package fault)  the record                             readiness
//	permanent             a dead letter, then acknowledged       no effect
//	transient             retried for ever, first in place       fails, with position and cause
//	cancelled             unacknowledged, for the next owner     no effect
//	panic                 transient twice, permanent the third   as transient
//
// # Order
//
// The key decides the partition with the hash of the Java and Python clients (murmur2). A foreign producer's records of an
// order therefore share our partition. Package lanes keeps the records of one key in sequence while other keys pass.
//
// # Batches
//
// Messages that wait for one use case at the same moment share a call and a transaction (package batch). There is no
// timer: a lone message starts at once. Each message has its own answer, publication and acknowledgement. A message that
// failed is retried alone, so it cannot fail other messages again.
//
// # Stopping and pausing
//
//	starting --> consuming --> pausing --> paused --> starting
//	                 |
//	                 +--> drain: no new record; those in work finish, bounded --> groups left, which commits the marks
//
// A pause is a lease: it ends by itself.
//
// # Watching Kafka
//
// A monitor asks Kafka every five seconds, on its own connection, for topics, permissions, the progress of the groups and their
// members. Readiness and metrics report its last answer, so neither waits for a broker. The monitor also
// ends the session of a topic that was made again or resized, and commits offsets with nothing left to read.
package bus
