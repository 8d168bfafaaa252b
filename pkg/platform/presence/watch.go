package presence

import "time"

const (
	// renewEvery is the time from one renewal to the next.
	renewEvery = 500 * time.Millisecond
	// lease is how long a row may stand still before its replica counts as dead. The third look after the one that saw it
	// change finds it over: a little less than three renewals, because no look comes exactly on time.
	lease = 3*renewEvery - 100*time.Millisecond
	// gap is the longest time between two looks at the table that still counts as watching without a break.
	gap = time.Second
	// settle is how long nobody is judged after a gap: whatever held up this replica may have held up its peers as well.
	settle = 5 * time.Second
	// forgetAfter is how long the row of a silent replica is kept.
	forgetAfter = time.Minute
)

// row is a replica's row as it was read.
type row struct {
	Name      string
	RenewedAt time.Time // compared with nothing but itself: a renewal changes it
}

// watch follows the rows of the other replicas, on this process's monotonic clock.
type watch struct {
	seen   map[string]sighting
	looked time.Time // when the latest answer came; zero before the first
	trust  time.Time // nobody is judged before
}

type sighting struct {
	renewedAt time.Time
	since     time.Time // the row has certainly stood still from here on
}

// look takes in what the database answered: rows were read at some moment between asked and answered. It returns the
// replicas whose lease is over, and of those the ones that can be forgotten.
func (w *watch) look(rows []row, asked, answered time.Time) (silent, forgotten []row) {
	broken := !w.looked.IsZero() && answered.Sub(w.looked) > gap
	if broken {
		w.trust = answered.Add(settle)
	}
	w.looked = answered
	seen := make(map[string]sighting, len(rows))
	for _, r := range rows {
		s, known := w.seen[r.Name]
		if !known || broken || !s.renewedAt.Equal(r.RenewedAt) {
			s = sighting{r.RenewedAt, answered}
		}
		seen[r.Name] = s
		if quiet := asked.Sub(s.since); quiet >= lease && !asked.Before(w.trust) {
			silent = append(silent, r)
			if quiet >= forgetAfter {
				forgotten = append(forgotten, r)
			}
		}
	}
	w.seen = seen
	return silent, forgotten
}
