// Package outbox keeps messages in the transaction that decided them, and publishes them after it committed.
//
// A message is a row of the table `outbox` until it is known to be in Kafka; then the row is deleted. Two paths lead
// there:
//
//   - Memory: the code that commits hands the rows to Relay.Enqueue, and they are published at once, rows of different keys
//     at the same time, rows of one topic and key one after the other.
//   - Recovery: rows that nobody published (a crash after the commit, memory that was full) are read from the table. One
//     replica at a time does this, the one that has the lease, a row of the table `outbox_lease`. It is taken when rows are
//     left, and given up when they are published.
//
// Recovery reads in the order of the ids. It publishes each row that it sees whose id was given out at least Grace ago, so
// that the memory path had its chance, and that this process does not have in memory. No open transaction keeps it from
// doing so, wherever on the server it is.
//
// Ids are given out before the commit, so a row can appear behind rows that were published already. Therefore recovery
// begins its next read where rows can still appear, and that place is found like this: an INSERT locks the table
// (RowExclusiveLock) before it takes an id from the sequence, and holds the lock until its transaction is over. A
// transaction that did not hold the lock when the sequence stood at n takes ids above n only. So the place is the lowest
// such n over the transactions that hold the lock now (package-internal type writers). pg_locks tells them to every role. Only
// this table's writers count, and not the number of a transaction, which may be far older than its lock. Cursors are kept
// in memory only. They are forgotten when the database may be another one: after an error, another start, a sequence that
// went back; and once a minute, because a restore or replication may put rows in with ids of long ago.
//
// Rows whose ids are above the sequence were brought by a restore or by replication. The sequence is moved behind them, so
// that they count like all others.
//
// What holds: a committed row is published at least once. It is published twice when a process dies between Kafka's
// acknowledgement and the delete; when another replica has had it in memory for longer than Grace; when its transaction
// committed more than Grace after its INSERT; and when a holder of the lease was frozen while it published. The message id
// is the same each time. Rows of one topic and key that one process hands over are published in that order, also when some
// of them have to take the way through the table: as long as one does, those after it follow it. Between replicas there is no
// such order.
//
// A writer that does not end keeps the place where it is: reads go over all rows that were deleted since, at most a
// twentieth of the time. After 10 s the log and readiness name it.
//
// Memory is bounded by rows and bytes. While it is full, Kafka being down for example, rows stay in the table only.
package outbox
