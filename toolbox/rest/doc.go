// Package rest lets programs without a Kafka client produce and consume over plain HTTP. Calls, formats and error codes
// are those of the REST Proxy v2 API, which Kafka guides show.
//
// # Producing
//
// A request is checked whole before its first record is written: the topic is allowed, topic and partitions exist,
// every record can be read. After that each record has its own result. An acknowledged record is on all in-sync
// replicas, once. Only topics that Config.Allow names can be written. A result "no answer in time" leaves open whether
// the record is there.
//
// # Consuming
//
//	POST   /consumers/G                           an instance exists, and is no member yet
//	POST   /consumers/G/instances/I/subscription  it joins group G
//	GET    /consumers/G/instances/I/records       it reads
//	DELETE /consumers/G/instances/I               it commits and leaves the group
//
// An instance is a member of its group from its subscription on. It leaves the group when it is deleted, was idle for
// Config.Idle, or the server stops. Reading is at least once: a record counts as read only when the answer with it was
// sent.
//
// With auto.commit.enable (the default), records that count as read are committed when the instance reads again, loses
// the partition or ends. Without it, only POST …/offsets commits. Records of aborted transactions are never delivered.
//
// A consumer with the json format skips a record whose value is not JSON. The record is counted, a response header
// gives the number of skipped records, and the log names the first. Consumers with the binary format still read it.
//
// # Memory
//
// One budget (Config.Memory) covers the records of all instances and the bodies of all requests. When it is used up, a
// request is answered with 503 and a retry helps. An instance fetches from Kafka only during a read, and drops records
// that no call has read for a while.
package rest
