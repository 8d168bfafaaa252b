// Package erasure replaces a person in a service's rows by a pseudonym, and keeps the topics from bringing the person back.
//
// A pseudonym is an HMAC-SHA-256 of the user id. Services with one key make one pseudonym of a user, so that rows of several
// services still belong together. The key is in a file, away from the data: a user id is easy to guess, and who has the key and the
// rows finds out which pseudonym a guess has.
//
//	Erase    one transaction: rows, dead letters, held messages, kept answers, a row in erasures
//	            |
//	Register each replica has the pseudonyms in memory, and reads them again every few seconds
//	            |
//	Map      a record of an erased user that is not younger than the erasure is read as the pseudonym's
//
// What holds:
//
//   - The name of an erased user is in no table. Register finds an erased user by the HMAC of the user id in a record.
//   - A record that Kafka hands out again, from a replay or a rebuild, says the same as the row, and is a duplicate.
//   - A record that cannot be handled leaves its position only, not its content: see Parker.
//   - A person may come back. Records that are younger than the erasure are left as they are.
//   - While nobody was erased, a record costs one comparison more, and no statement.
//   - A service that has erasures and not their key consumes nothing, and its readiness says what to set.
//
// A replica reads the pseudonyms up to reloadEvery after the transaction, and may have written a row with the name until then. So
// the caller of Erase calls it a second time, Settle later. Erase changes nothing where nothing is left.
package erasure
