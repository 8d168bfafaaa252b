package outbox

import "maps"

// lane names rows that are published in order: those of one topic and key.
type lane struct{ topic, key string }

func laneOf(r Row) lane { return lane{r.Record.Topic, string(r.Record.Key)} }

// rowsHeld is the rows that memory holds, from their hand-over until they are deleted from the table.
type rowsHeld struct {
	sizes   map[int64]int // bytes of each row, by id
	bytes   int
	deleted map[int64]struct{} // rows deleted since a read of the table began; nil = nothing is read
}

func newRowsHeld() rowsHeld { return rowsHeld{sizes: make(map[int64]int)} }

func (h *rowsHeld) len() int { return len(h.sizes) }

func (h *rowsHeld) has(id int64) bool {
	_, here := h.sizes[id]
	return here
}

func (h *rowsHeld) add(r Row) {
	h.sizes[r.ID] = len(r.Record.Value)
	h.bytes += len(r.Record.Value)
}

func (h *rowsHeld) forget(id int64) {
	h.bytes -= h.sizes[id]
	delete(h.sizes, id)
	if h.deleted != nil {
		h.deleted[id] = struct{}{}
	}
}

// lanesInWork is the lanes whose rows are published from memory. Each has a queue for as long as it has rows:
//
//	(none) --add--> ready --begin--> in one publisher's hands --end--> (none)
//	                  ^                        |
//	                  `---- end, and rows came `
//
// One publisher at a time has a queue, so the rows of a lane are published in order.
type lanesInWork struct {
	queues map[lane]*queue
	ready  chan *queue // has room for as many lanes as memory has rows, so it is never full
}

// queue is the rows of one lane that are not taken by a publisher yet.
type queue struct {
	lane lane
	rows []Row
}

func newLanesInWork(maxRows int) lanesInWork {
	return lanesInWork{queues: make(map[lane]*queue), ready: make(chan *queue, maxRows)}
}

func (l *lanesInWork) add(name lane, r Row) {
	q := l.queues[name]
	if q == nil {
		q = &queue{lane: name}
		l.queues[name] = q
		l.ready <- q
	}
	q.rows = append(q.rows, r)
}

func (q *queue) take() []Row {
	rows := q.rows
	q.rows = nil
	return rows
}

// end makes the queue ready again if rows came meanwhile, and forgets it otherwise.
func (l *lanesInWork) end(q *queue) {
	if len(q.rows) > 0 {
		l.ready <- q
	} else {
		delete(l.queues, q.lane)
	}
}

// lanesWaiting is the lanes with rows that recovery must publish: the ids of these rows, by lane. Later rows of such a
// lane follow them through the table, so that they do not overtake them.
type lanesWaiting map[lane]map[int64]struct{}

func (w lanesWaiting) add(r Row) {
	name := laneOf(r)
	if w[name] == nil {
		w[name] = make(map[int64]struct{})
	}
	w[name][r.ID] = struct{}{}
}

// follow reports whether the lane waits. It then waits for the row id too.
func (w lanesWaiting) follow(name lane, id int64) bool {
	ids := w[name]
	if ids != nil {
		ids[id] = struct{}{}
	}
	return ids != nil
}

func (w lanesWaiting) ids() []int64 {
	var all []int64
	for _, ids := range w {
		for id := range ids {
			all = append(all, id)
		}
	}
	return all
}

// recovered forgets the rows of asked that are not in standing. A lane without rows waits no longer.
func (w lanesWaiting) recovered(asked []int64, standing map[int64]bool) {
	gone := make(map[int64]bool, len(asked))
	for _, id := range asked {
		gone[id] = !standing[id]
	}
	for name, ids := range w {
		maps.DeleteFunc(ids, func(id int64, _ struct{}) bool { return gone[id] })
		if len(ids) == 0 {
			delete(w, name)
		}
	}
}
