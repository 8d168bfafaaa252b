package windows

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"pasdetrois/pkg/messages"
)

// Window is one window with its counts. The JSON names are part of the tool's output.
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Open says that the window may still grow. Corrected says that it was shown as closed before, and that an event
	// came after that.
	Open      bool `json:"open,omitempty"`
	Corrected bool `json:"corrected,omitempty"`
	// Added says that the window holds only the events that came after it was forgotten: the Store has the rest, or
	// nothing has.
	Added  bool    `json:"added,omitempty"`
	Count  int64   `json:"count"` // of all events
	Late   int64   `json:"late"`
	Events []Event `json:"events"` // most common first
}

// Event is the count of one event name in a window.
type Event struct {
	Name  string `json:"event"` // "" for events without a name
	Count int64  `json:"count"`
	Late  int64  `json:"late"`
	Sums  []Sum  `json:"sums,omitempty"` // by currency; none without amounts
}

// Sum is an exact amount, as a decimal number in its currency's notation. Count covers events without an amount, too.
type Sum struct {
	Currency string      `json:"currency"`
	Amount   json.Number `json:"amount"`
}

// kept is how many windows the board has before it forgets the oldest closed ones. Open windows are never forgotten.
const kept = 120

// board has the windows that are open, and the newest closed ones. Times are milliseconds since 1970. One goroutine
// uses it.
type board struct {
	size, grace int64
	windows     map[int64]*content
	shown       int64 // windows whose end and grace are not after this were shown, or are shown as soon as they have something
	forgotten   int64 // the newest closed window that is not on the board any more
}

// content is what one window has counted.
type content struct {
	rows   map[row]*total
	closed bool // was shown as closed
	dirty  bool // has something to be shown
	added  bool // was on the board before, and forgotten
}

type row struct{ event, currency string }

type total struct {
	events, late int64
	minor        *big.Int
}

func newBoard(size, grace time.Duration) *board {
	return &board{size: size.Milliseconds(), grace: grace.Milliseconds(), windows: map[int64]*content{}, shown: noEvent, forgotten: noEvent}
}

// add adds a row to its window. A window that the board does not have is open if it is newer than the forgotten ones.
// Else it was closed and forgotten, and begins anew with this row. Late events alone do not make a closed window dirty.
func (b *board) add(k key, events, late int64, minor *big.Int) {
	w := b.windows[k.start]
	if w == nil {
		old := k.start <= b.forgotten
		w = &content{rows: map[row]*total{}, closed: old, added: old}
		b.windows[k.start] = w
	}
	w.dirty = w.dirty || !w.closed || events > 0
	r := row{k.event, k.currency}
	t := w.rows[r]
	if t == nil {
		t = &total{minor: new(big.Int)}
		w.rows[r] = t
	}
	t.events += events
	t.late += late
	t.minor.Add(t.minor, minor)
}

// apply adds a batch. Late events alone do not bring a forgotten window back. The Store has counted them already.
func (b *board) apply(added *batch) {
	for k, c := range added.cells {
		if c.events == 0 && b.windows[k.start] == nil && k.start <= b.forgotten {
			continue
		}
		b.add(k, c.events, c.late, big.NewInt(c.minor))
	}
}

// missing returns the starts of the forgotten windows to which the batch adds events, in order.
func (b *board) missing(added *batch) []int64 {
	missing := map[int64]bool{}
	for k, c := range added.cells {
		if c.events > 0 && b.windows[k.start] == nil && k.start <= b.forgotten {
			missing[k.start] = true
		}
	}
	return slices.Sorted(maps.Keys(missing))
}

// close returns the windows to be shown now, oldest first: those whose end and grace are before the watermark, and
// closed ones to which an event was added. Then it forgets the oldest closed windows.
//
// The watermark may go back: a partition that was idle may have old events afterwards. A window that was over stays
// over then.
func (b *board) close(watermark int64) []Window {
	var shown []Window
	b.shown = max(b.shown, watermark)
	starts := slices.Sorted(maps.Keys(b.windows))
	for _, start := range starts {
		w := b.windows[start]
		if !w.dirty || !b.over(start) {
			continue
		}
		corrected := w.closed
		w.closed, w.dirty = true, false
		window := b.window(start)
		window.Corrected = corrected
		shown = append(shown, window)
	}
	for _, start := range starts {
		if len(b.windows) <= kept || !b.windows[start].closed {
			break
		}
		delete(b.windows, start)
		b.forgotten = max(b.forgotten, start)
	}
	return shown
}

// over reports whether the window's end and grace are not after the highest watermark so far.
func (b *board) over(start int64) bool { return start+b.size+b.grace <= b.shown }

// open returns the windows that are not closed, oldest first.
func (b *board) open() []Window {
	var open []Window
	for _, w := range b.all() {
		if w.Open {
			open = append(open, w)
		}
	}
	return open
}

// all returns the windows of the board, oldest first.
func (b *board) all() []Window {
	all := make([]Window, 0, len(b.windows))
	for _, start := range slices.Sorted(maps.Keys(b.windows)) {
		all = append(all, b.window(start))
	}
	return all
}

// window returns a copy of a window for showing. It shares no memory with the board.
func (b *board) window(start int64) Window {
	content := b.windows[start]
	w := Window{Start: time.UnixMilli(start).UTC(), End: time.UnixMilli(start + b.size).UTC(), Open: !content.closed,
		Added: content.added}
	for r, t := range content.rows {
		w.add(r, t.events, t.late, decimal(t.minor, r.currency))
	}
	w.sort()
	return w
}

// add adds one row. amount is not used when the row has no currency.
func (w *Window) add(r row, events, late int64, amount string) {
	i := slices.IndexFunc(w.Events, func(e Event) bool { return e.Name == r.event })
	if i < 0 {
		i = len(w.Events)
		w.Events = append(w.Events, Event{Name: r.event})
	}
	w.Count += events
	w.Late += late
	w.Events[i].Count += events
	w.Events[i].Late += late
	if r.currency != "" {
		w.Events[i].Sums = append(w.Events[i].Sums, Sum{r.currency, json.Number(amount)})
	}
}

// sort puts the most common event first. Equal counts are in the order of their names, so the output does not vary.
func (w *Window) sort() {
	slices.SortFunc(w.Events, func(a, b Event) int {
		if a.Count != b.Count {
			return int(max(-1, min(1, b.Count-a.Count)))
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, e := range w.Events {
		slices.SortFunc(e.Sums, func(a, b Sum) int { return strings.Compare(a.Currency, b.Currency) })
	}
}

// decimal writes minor units as messages do: 1999 USD is 19.99. minor must not be negative.
func decimal(minor *big.Int, currency string) string {
	exponent, _ := messages.Exponent(currency)
	digits := minor.String()
	if exponent == 0 {
		return digits
	}
	if missing := exponent + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	return digits[:len(digits)-exponent] + "." + digits[len(digits)-exponent:]
}
