package deadletter

import (
	"crypto/sha256"
	"strings"

	"pasdetrois/pkg/messages"
)

// The largest parts of a record that a letter keeps, in bytes. The contract rejects a value longer than MaxValue, so its replay
// would fail anyway. Without these bounds, a few large records would fill the table for all others.
const (
	MaxValue   = 64 << 10
	maxKey     = 4 << 10
	maxHeaders = 16 << 10 // bytes of all headers together
	headersMax = 200      // headers
	maxText    = 8 << 10  // of detail and stack
)

// Whole has the sizes of the record's parts of which a letter keeps only the beginning; zero = the part is kept whole.
type Whole struct {
	Value, Key, Headers int64
	SHA256              []byte // of the whole value
}

// Cut reports whether the letter keeps only a part of its record.
func (l Letter) Cut() bool { return l.Whole.Value > 0 || l.Whole.Key > 0 || l.Whole.Headers > 0 }

// cut returns the part of r that a letter keeps, and the sizes of the parts that were cut. It keeps a prefix of the headers, and
// never a part of one. r itself is not changed.
func cut(r messages.Record) (messages.Record, Whole) {
	var whole Whole
	if len(r.Value) > MaxValue {
		sum := sha256.Sum256(r.Value)
		whole.Value, whole.SHA256 = int64(len(r.Value)), sum[:]
		r.Value = r.Value[:MaxValue]
	}
	if len(r.Key) > maxKey {
		whole.Key = int64(len(r.Key))
		r.Key = r.Key[:maxKey]
	}
	kept, size := 0, 0
	for _, h := range r.Headers {
		if size += len(h.Key) + len(h.Value); size <= maxHeaders && kept < headersMax {
			kept++
		}
	}
	if kept < len(r.Headers) {
		whole.Headers = int64(max(size, 1))
		r.Headers = r.Headers[:kept]
	}
	return r, whole
}

// printable cuts text to maxText and replaces NUL and invalid UTF-8, which Postgres rejects.
func printable(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
