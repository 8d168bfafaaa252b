// Package rebuild makes the state of one service again from the topics, over an empty or a restored database.
//
// # Steps
//
//	check ── finds all mistakes that can be found before anything changes
//	stage ── reads the four topics from their beginning to their present ends, and keeps what the state needs in the
//	         service's schema, compressed, with the progress of each partition in the same transaction
//	fold ─── hands the staged records to the state, story by story
//	resume ─ moves the service's consumer groups back to the earliest record that the service must read again
//	clear ── empties the staging
//
// The rules of a service are in the service (pkg/platform/rebuild.State). This package knows none of them.
//
// # Why the records are staged
//
// The messages about one order stand in four topics and many partitions, and may be days apart. A fold needs them side by
// side. Keeping all of them in memory takes gigabytes for a million orders. The database has the room and is there
// anyway. Keys are hashed into buckets, so that neither a sort nor an index over all records is needed.
//
// # What holds
//
//   - One rebuild of a service runs at a time, and none while the service runs: a lease and the table of replicas say so, and
//     the brokers reject the move of a group that has members.
//   - A rebuild whose lease is gone ends with an error: the staging may be gone with it.
//   - A group is never moved forward.
//   - A killed run continues behind the last stored progress. All stories are folded again, and what was made is equal then.
//   - A dry run changes nothing but the staging, which it empties.
//
// # Failure
//
// Until fold, an error leaves the state as it was. After that, the state has some stories made and others not: the service
// must not be started before a run has ended well. Running it again completes it.
package rebuild
