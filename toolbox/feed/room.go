package feed

import "sync/atomic"

// room counts the memory of batches that are inflated and were not returned yet. It is safe for concurrent use.
type room struct{ used atomic.Int64 }

// take takes bytes, or returns false when they do not fit. The client then asks Kafka for the batch again.
func (r *room) take(bytes int) bool {
	used := r.used.Add(int64(bytes))
	if used > roomBytes && used > int64(bytes) {
		r.used.Add(-int64(bytes))
		return false
	}
	return true
}

// clear sets the room to empty when all records were returned. A batch that is inflated at this moment is then not
// counted. A response has few, so the excess is small.
func (r *room) clear() { r.used.Store(0) }
