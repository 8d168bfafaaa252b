// Package windows counts what happens on topics, in tumbling windows of event time.
//
// An event is a record whose value is a JSON object that can be read in one way only; every other record is skipped and
// counted. Package messages reads it, as it does for the services (messages.Read): the event's name from its type and the
// field `event`, its time from the field `timestamp`, else from the header ce_time, else from the record. Its amount is the
// field that the event has; on other topics `amount`, else `total`. An event of a type that no service acts on is counted as
// "unknown: TYPE". Amounts are summed exactly, each currency for itself.
//
// # What is late
//
// Each partition has a watermark: the newest time of an event that was read from it. An event is late when its window had
// ended, and the grace was over, both by the watermark of its own partition when it was read and by its own record's time.
// So one producer whose clock is ahead makes nobody else late: what others write while a window is open is counted in it.
// Whether an event is late is said by the records of its partition alone, and not by how fast which partition was read:
// counting the same records again, in another process, with another program or from a mirrored topic, gives the same
// numbers. Late events are counted apart, in the window where they belong.
//
// An event's time may be an hour ahead of its record's at most; beyond that its record's time counts. How far a record may be
// ahead of the clock is the broker's to say: message.timestamp.after.max.ms, an hour by default since Kafka 4.0. The
// reader's own clock takes no part, or a second count would differ. Kafka Streams goes by the watermark alone, with no bound:
// one record ahead makes its whole partition late. Flink takes the lowest watermark of all partitions, so how late an event
// is depends on how fast each is read.
//
// A window is shown as closed when the watermarks of all partitions are beyond its end and grace; a partition that had
// nothing to read for a while does not hold it back once the clock is beyond too. If something that is not late comes
// for a window after that, the window is shown once more, as corrected, and whole as long as it is remembered: the newest
// windows are, with a Store all.
//
// # What a restart changes
//
// Nothing, with a Store: counts, watermarks and the offsets to read next are written in one transaction, at a job's first
// start even before anything is read. A process that dies at any moment leaves counts that belong exactly to the offsets
// beside them. Two processes cannot count for one job: a lock says so to the second, and the offsets are compared before
// each write in case the lock was lost with its connection.
//
// Up to when windows were shown is stored too, after they were. So a window that was shown as closed is not shown again
// after a restart unless something came for it, and one that a process counted and did not live to show is shown by the
// next. After a kill between the two a window may be shown twice, the same each time.
package windows
