package feed

import "sync/atomic"

// room is the memory for batches that are inflated and not handed over.
type room struct{ used atomic.Int64 }

// take takes so many bytes, or returns false when they do not fit beside what is there.
func (r *room) take(bytes int) bool {
	used := r.used.Add(int64(bytes))
	if used > roomBytes && used > int64(bytes) {
		r.used.Add(-int64(bytes))
		return false
	}
	return true
}

// clear says that everything was handed over. A batch that is inflated in this moment is not counted; a response has few.
func (r *room) clear() { r.used.Store(0) }
