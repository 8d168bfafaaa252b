// Package outbox keeps messages in the transaction that decided them, and publishes them after it committed.
//
// A message is a row of the table `outbox` until it is known to be in Kafka; then the row is deleted. Two paths lead
// there:
//
//   - Memory: whoever commits hands the rows to Relay.Enqueue, and they are published at once, rows of different keys at
//     the same time, rows of one topic and key one after the other.
//   - Recovery: rows that nobody published (a crash after the commit, memory that was full) are read from the table. One
//     replica at a time does this, the one that holds a session's advisory lock.
//
// Recovery reads in the order (xid, id), with a cursor that is kept in memory only: a new holder of the lock starts at
// the beginning, and a restored database finds no cursor that lies about it. It reads rows with xid below a bound that
// pg_snapshot_xmin reported at least Grace ago. Below that bound no transaction is open any more, so no row can appear
// behind the cursor, however late a transaction commits; and the memory path had its chance for Grace. What this process
// has in memory is left to the memory path. A transaction that stays open for long delays recovery, not the memory path.
//
// The index of that order can be used by nothing but reads that say `xid > '0'`: to a planner that last saw the table empty, a
// scan of it would look as cheap as finding rows by their ids.
//
// What holds: a committed row is published at least once. It is published twice when a process dies between Kafka's
// acknowledgement and the delete, and it can be when another replica has had it in memory for longer than Grace; the
// message id is the same then. Rows of one topic and key that one process hands over are published in that order, also
// when some of them have to take the way through the table: as long as one does, those after it follow it. Between
// replicas there is no such order.
//
// Memory is bounded by rows and bytes. While it is full, Kafka being down for example, rows stay in the table only.
package outbox
