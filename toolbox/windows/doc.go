// Package windows counts events on topics, in tumbling windows of event time.
//
// An event is a record whose value is a JSON object that can be read in one way only; every other record is skipped and
// counted. Package messages reads it, as it does for the services (messages.Read). The event's name comes from its type
// and the field `event`. Its time comes from the field `timestamp`, else from the header ce_time, else from the record.
// Its amount is the field that the contract gives the event; on other topics it is `amount`, else `total`. An event of
// a type that no service handles is counted as "unknown: TYPE". Amounts are summed exactly, each currency for itself.
//
// # What is late
//
// Each partition has a watermark: the newest time of an event that was read from it. An event is late when its window
// and the grace were over by two measures: the watermark of its own partition when it was read, and the time of its own
// record. So a producer whose clock is ahead makes no other producer late: an event that was written while its window
// was open counts in it.
//
// The records of a partition alone decide whether an event is late; the speed of reading has no part in it. So a second
// count of the same records gives the same numbers, in another process, with another program or from a mirrored topic.
// Late events are counted apart, in the window to which they belong.
//
// An event's time may be an hour ahead of its record's at most; beyond that its record's time counts. The broker limits
// how far a record may be ahead of the clock: message.timestamp.after.max.ms, an hour by default since Kafka 4.0. The
// reader's own clock takes no part, or a second count would differ. Kafka Streams uses the watermark alone, with no
// bound: one record ahead makes its whole partition late. Flink takes the lowest watermark of all partitions, so the
// reading speed of each decides how late an event is.
//
// # States of a window
//
//	        watermarks pass end + grace             an event arrives
//	open ───────────────────────────────> closed ─────────────────────> corrected: shown once more
//	                                        │                               │
//	                                        │ over 120 on board             └──> closed
//	                                        v
//	                                    forgotten ── an event arrives ──> recalled whole from the Store, and shown
//	                                                                      as corrected; without a Store shown as added
//
// A window is shown as closed when the watermarks of all partitions are beyond its end and grace. A partition that had
// nothing to read for a while does not hold it back once the clock is beyond them too. A late event alone shows no
// window again.
//
// # What a restart changes
//
// Nothing, with a Store: one transaction writes counts, watermarks and the offsets to read next. At a job's first
// start, it does so before anything is read. A process that dies at any moment leaves counts that belong exactly to the
// offsets beside them. Two processes cannot count for one job: a lock rejects the second one. The offsets are also
// compared before each write, in case the lock was lost with its connection.
//
// The time up to which windows were shown is stored too, after they were shown. So a closed window is not shown again
// after a restart, unless an event came for it. A window that a process counted and did not live to show is shown by
// the next process. After a kill between the two steps a window may be shown twice, the same each time.
package windows
