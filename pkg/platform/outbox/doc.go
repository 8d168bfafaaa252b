// Package outbox stores messages in the transaction that decides them, and publishes them after its commit.
//
// A message is a row of the table `outbox` from the commit until it is in Kafka. Then the row is deleted:
//
//	INSERT --commit--> handed over --> in memory --published--> deleted
//	             |          |  memory does not take it              ^
//	             |          v                                       |
//	             `---> in the table only --recovery publishes it ---'
//
// Two paths publish rows:
//
//   - Memory: the caller hands its committed rows to Relay.Enqueue, and they are published at once. Rows of one topic and
//     key form a lane and are published in order. Lanes are published side by side.
//   - Recovery: rows that memory did not publish are read from the table. They are left after a crash, or while memory is
//     full. One replica at a time recovers: the one that has the lease, a row of the table `outbox_lease`. It takes the
//     lease when rows are left, and gives it up once they are published.
//
// # Memory
//
// Memory is bounded by rows and bytes. It has four states:
//
//	          beginOpening            opened
//	closed ------------------> opening ------> open
//	  ^ ^                         |              |
//	  | `------ stayClosed -------'              |
//	  `-------------- a row does not fit --------'
//
//	any state -- stop --> stopped
//
// Closed, at the start and after it was full, memory takes no row: rows stay in the table. When it is half empty it opens.
// Opening, recovery lists the rows that stand in the table. Rows that are handed over meanwhile count as standing. Open,
// memory takes rows, except those of lanes that wait: a lane waits until recovery has published its rows, so that no later
// row overtakes them. Stopped, memory takes no row; publishers finish the rows that it has.
//
// # Where recovery reads
//
// Recovery reads in the order of the ids. It publishes each row whose id was given out at least Grace ago, so that the
// memory path had its chance, and that this process does not have in memory. No open transaction on the server delays it.
//
// Ids are given out before the commit, so a row can appear behind rows that were published already. Therefore recovery
// begins each read at a place before which no row can appear any more. The place follows from the table's locks:
//
//   - An INSERT locks the table (RowExclusiveLock) before it takes an id from the sequence, and holds the lock until its
//     transaction ends.
//   - A transaction that did not hold the lock when the sequence stood at n takes only ids above n.
//   - So the place is the lowest such n over the transactions that hold the lock now (type writers). Every role may read
//     pg_locks. Only writers of this table count. Transaction numbers do not: one may be far older than its lock.
//
// Places are kept in memory only. They are forgotten when the database may be another one: after an error, another start,
// or a sequence that went back. They are also forgotten once a minute, since a restore or replication may insert rows with
// old ids. Rows with ids above the sequence came from a restore or replication, too: the sequence is moved behind them.
//
// # What holds
//
// A committed row is published at least once, with the same message id each time. It is published twice when
//
//   - a process dies between Kafka's acknowledgement and the delete,
//   - another replica has had it in memory for longer than Grace,
//   - its transaction committed more than Grace after its INSERT, or
//   - a holder of the lease was frozen while it published.
//
// The rows of one topic and key that one process hands over are published in that order, also when some of them go through
// the table. Rows of two replicas have no such order.
//
// A writer that does not end keeps the place where it is. Reads then go over all rows that were deleted since, for at most
// a twentieth of the time (pgdb.Pause). After 10 s the log and readiness name the writer.
package outbox
