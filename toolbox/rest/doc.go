// Package rest lets programs without a Kafka client produce and consume over plain HTTP, with the calls, formats and
// error codes of the REST Proxy v2 API that Kafka guides show.
//
// Producing: a request is checked whole (topic allowed, topic and partitions there, every record readable) before its
// first record is written; after that each record has its own result. An acknowledged record is on all in-sync replicas,
// once. Only topics that Config.Allow names can be written.
//
// Consuming: an instance is a member of its group from its subscription on until it is deleted, was idle for Config.Idle,
// or the server stops; then it leaves the group. Reading is at least once: a record counts as read only when the answer
// with it was sent. With auto.commit.enable (the default) what was read is committed when the instance reads again, loses
// the partition or ends; without, only POST …/offsets commits. Records of aborted transactions are never seen.
//
// A consumer with the json format passes over a record whose value is no JSON: it is counted, told in a response header
// and in the log, and stays where it is for consumers with the binary format.
package rest
