package outbox

import (
	"slices"
	"time"
)

// writer is an open transaction that has the right to put rows into the table: it holds the table's RowExclusiveLock.
type writer struct {
	Transaction string // Postgres' virtualtransaction
	PID         int32  // 0 for a prepared transaction, which has no session
}

// openWriter is a writer with what is known about it.
type openWriter struct {
	writer
	behind int64     // each of its rows has a higher id
	since  time.Time // seen first
}

// writers follows the table's writers, and tells which ids can still appear.
//
// The lock comes before the id: an INSERT locks the table, then takes ids from the sequence, and both end with the
// transaction. So a transaction that held no lock when the sequence stood at n takes ids above n only. The transaction's
// own number tells nothing of the kind: it may be far older than the lock.
type writers struct {
	seen    bool
	last    int64 // where the sequence stood at the last observation
	settled int64
	open    map[string]openWriter
}

// observe takes in where the sequence stood, and who wrote after that. It returns the place up to which no row can appear
// any more. Observations have to come in the order in which they were made.
func (w *writers) observe(last int64, writing []writer, now time.Time) (settled int64) {
	open := make(map[string]openWriter, len(writing))
	settled = last
	for _, one := range writing {
		o, known := w.open[one.Transaction]
		if !known {
			o = openWriter{writer: one, since: now, behind: w.last}
			// PREPARE TRANSACTION gives a writer that was there before another name.
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

// forget knows nothing again, but since when those are open that still are.
func (w *writers) forget() {
	open := make(map[string]openWriter, len(w.open))
	for name, o := range w.open {
		o.behind = 0
		open[name] = o
	}
	*w = writers{open: open}
}

// bounds remembers where the sequence stood, so as to tell how old an id is at least.
type bounds struct {
	seen []bound // oldest first
}

type bound struct {
	last int64
	at   time.Time
}

// at notes an observation, made not before at, and returns the highest id that was given out at least age ago.
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
