// Package rest lets programs without a Kafka client produce and consume over plain HTTP, with the calls, formats and
// error codes of the REST Proxy v2 API that Kafka guides show.
//
// Producing: a request is checked whole (topic allowed, topic and partitions there, every record readable) before its
// first record is written; after that each record has its own result. An acknowledged record is on all in-sync replicas,
// once. Only topics that Config.Allow names can be written.
//
// Consuming: an instance is a member of its group from its subscription on until it is deleted, was idle for Config.Idle,
// or the server stops; then it leaves the group. Reading is at least once: a record counts as read only when the answer
// with it was sent. With auto.commit.enable (the default) these records are committed when the instance reads again, loses
// the partition or ends; without, only POST …/offsets commits. Records of aborted transactions are never delivered.
//
// A consumer with the json format skips a record whose value is not JSON. It is counted, a response header and the log name
// it, and consumers with the binary format still read it.
package rest
