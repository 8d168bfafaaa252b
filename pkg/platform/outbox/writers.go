package outbox

import (
	"slices"
	"time"
)

// writer is an open transaction that may insert rows: it holds the table's RowExclusiveLock.
type writer struct {
	Transaction string // Postgres' virtualtransaction
	PID         int32  // 0 for a prepared transaction, which has no session
}

// openWriter is a writer as the observations show it.
type openWriter struct {
	writer
	behind int64     // each of its rows has a higher id
	since  time.Time // of the first observation that shows it
}

// writers follows the table's writers, and computes which ids can still appear.
//
// The lock comes before the id: an INSERT locks the table, then takes ids from the sequence, and holds the lock until its
// transaction ends. So a transaction that held no lock when the sequence stood at n takes only ids above n. The
// transaction's own number does not help: it may be far older than the lock.
type writers struct {
	seen    bool
	last    int64 // the sequence's last id at the last observation
	settled int64 // no row with this id or a lower one can appear
	open    map[string]openWriter
}

// observe takes the sequence's last id, and the writers that were open after it was read. It returns the id up to which no
// row can appear any more. Call it with observations in the order in which they were made.
func (w *writers) observe(last int64, writing []writer, now time.Time) (settled int64) {
	open := make(map[string]openWriter, len(writing))
	settled = last
	for _, one := range writing {
		o, known := w.open[one.Transaction]
		if !known {
			o = openWriter{writer: one, since: now, behind: w.last}
			// PREPARE TRANSACTION gives an open writer another name.
			if one.PID == 0 || !w.seen {
				o.behind = w.settled
			}
		}
		open[one.Transaction] = o
		settled = min(settled, o.behind)
	}
	w.seen, w.last, w.settled, w.open = true, last, settled, open
	return settled
}

// oldest returns the writer that was seen first, nil when there is none.
func (w *writers) oldest() *openWriter {
	var oldest *openWriter
	for _, o := range w.open {
		if oldest == nil || o.since.Before(oldest.since) {
			oldest = &o
		}
	}
	return oldest
}

// forget forgets all places. It keeps since when each writer is open.
func (w *writers) forget() {
	open := make(map[string]openWriter, len(w.open))
	for name, o := range w.open {
		o.behind = 0
		open[name] = o
	}
	*w = writers{open: open}
}

// bounds remembers the sequence's last id over time: from it follows how old an id is at least.
type bounds struct {
	seen []bound // oldest first
}

type bound struct {
	last int64
	at   time.Time
}

// note notes an observation that was made at this time or later. It returns the highest id that was given out at least age ago.
func (b *bounds) note(last int64, at time.Time, age time.Duration) int64 {
	b.seen = append(b.seen, bound{last, at})
	old := -1
	for i, one := range b.seen {
		if time.Since(one.at) >= age {
			old = i
		}
	}
	if old < 0 {
		return 0
	}
	b.seen = slices.Delete(b.seen, 0, old)
	return b.seen[0].last
}
