// Package presence tells a replica which other replicas of its service have died.
//
// Kafka alone notices the death of a group member when its session times out, and no broker allows less than 6 s by
// default. Replicas of one service share a database. So each replica keeps a lease there: one row, renewed twice a second.
// A replica that sees another's row stand still for longer than the lease names that replica to its caller, which may take
// the dead one's place.
//
// What holds:
//   - A dead replica is named within about two seconds, by every replica that lives.
//   - No clock is compared with another. A replica measures the silence of a peer with its own monotonic clock.
//   - A replica that could not renew its own lease in time judges nobody for a while. So an outage of the database, a
//     failover, or a pause of this process names nobody.
//   - A replica that stops gracefully deletes its row, and is never named.
//   - A replica that is frozen is named, although it lives. The caller must do nothing that such a replica cannot mend.
//
// The table is UNLOGGED: a renewal waits for no disk and writes next to no log. After a crash of the database, or on a
// standby that takes over, the table is empty, every replica writes its row again, and nobody is judged by old rows.
package presence
