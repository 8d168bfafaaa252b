// Package retention ends rows: a kind of rows is kept for a time that an operator sets, and then removed.
//
// A Sweeper looks at all kinds every few minutes. It reads the rows of a kind from the oldest on, in slices of one short
// transaction each, and pauses after each slice for several times as long as the slice took. So a sweep takes a bounded share of
// the database, however many rows are due, and every lock is held for milliseconds.
//
// One replica sweeps at a time. A transaction lock keeps two slices of one schema apart. The replica with the first name among
// those that live goes on; the others look again later. A replica that dies leaves nothing behind: its last slice is committed
// or undone.
//
// # What a kind must keep in mind
//
//   - Rows are the memory of what was handled. A record of a removed row may be redelivered or replayed, and must not be
//     handled as a new one. So Check refuses to keep rows for less than Least, which is longer than the topics have records,
//     and a kind that decides by its rows leaves a tombstone: ID, 16 bytes for each row.
//   - Only rows that nobody works on any more may go. The kind decides which, in the transaction that removes them.
package retention
