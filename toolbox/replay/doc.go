// Package replay makes a service handle records of its topics again, and checks that its state stays the same.
//
// # Steps
//
//	prepare ──── finds all mistakes that can be found before anything changes
//	awaitOthers  waits for the end of another replay's pause
//	decided ──── compares the decisions on the topics with the database, and ends the replay if the database lacks one
//	pause ────── every replica leaves its consumer groups, for a lease that is renewed
//	rewind ───── reads the state, then moves the groups' offsets back
//	resume ───── the replicas join their groups again
//	follow ───── waits until the groups are where they were
//	compare ──── reads the state again and explains the differences
//
// The state is read while the groups are empty, so no record is handled between the snapshot and the reset. The brokers
// reject a reset while a group has members; this holds even if a replica resumes too early.
//
// # Why decisions are compared first
//
// The state decides whether a record was handled. A database that was put back to an earlier moment lacks decisions, and
// the service would decide anew: the partitions are read in another order than the first time, so scarce stock goes to
// other orders. The topics have the decisions, so package behind finds the rows that lack one.
//
// # What must hold
//
// A record that is handled a second time finds its work done, because the state is the inbox. So every row that was
// settled at the pause must be the same at the end. No row may have been added.
//
// A system at work moves on meanwhile. A difference is explained, and does not count, in two cases:
//
//   - A message about the order is new: the service had not handled it before the pause.
//   - A step without a message changed the row: a call over HTTP, or a deadline.
//
// A message is new when its record stands behind the committed offset and no record with its id stands before that
// offset. A message that the replay itself publishes again has the id of the first time, so it explains nothing.
//
// # Failure
//
// Until the first reset, an error leaves everything as it was. After it, the service handles the records again in any
// case. Then the report says how far it came, and has no Comparison. When this process dies, the lease ends and the
// service resumes by itself. Offsets that were moved back stay so: these records are handled again, which their rows
// allow.
package replay
