// Package bus connects use cases to Kafka. It is the only package that knows sarama and watermill-kafka.
//
// What a message goes through, and what holds at each step:
//
//	Kafka -> claim -> router -> gate -> park -> telemetry -> recover -> retry -> timeout -> dispatch -> use case
//
// A use case commits its transaction and returns what to publish. The bus publishes, waits until every in-sync replica
// has it, and only then acknowledges. A crash at any point repeats the message from its start, so delivery is at least
// once, and effects happen once because use cases are keyed by state, not by delivery.
//
// An error is sorted by package fault:
//   - permanent: the original record is parked with its reason and acknowledged; the next message goes on at once;
//   - transient: the message stays where it is and is tried again, with backoff, for ever; readiness says so;
//   - cancelled: the message stays unacknowledged for whoever consumes the partition next.
//
// A handler that panics three times on one record is a permanent error.
//
// Order: the record key decides the partition, with the hash of the Java and Python clients (murmur2), so a foreign
// producer's messages meet ours on the same partition. Each partition is split into lanes by another hash of the key: one
// message of a lane is in work at a time, so the messages of one order stay in sequence while those of other orders pass.
// A lane that is held up holds up nobody else, up to a window of messages behind its oldest unfinished one. Offsets are
// marked in the partition's order, never past an unfinished message, so a crash skips nothing and repeats at most a window.
//
// Batches: the messages that wait for one use case at the same moment are handed to it together and share its
// transaction (package batch). There is no timer: a lone message goes at once. Each message is still answered,
// published and acknowledged by itself. One that failed is tried again alone, so that it fails nobody else's batch.
//
// Stopping: no new message is admitted, those in work finish (bounded), their acknowledgements are marked, then the
// consumer groups are left, which commits the marks.
package bus
