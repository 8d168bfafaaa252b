package rebuild

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/klauspost/compress/zstd"

	"pasdetrois/pkg/messages"
)

// Buckets is the number of buckets into which the keys are hashed. Stored rows have a bucket's number, so it never changes.
const Buckets = 1024

// BucketOf returns the bucket of a story's key.
func BucketOf(key string) int { return int(hash(key) % Buckets) }

// partOf splits the keys of one bucket into parts.
func partOf(key string, parts int) int { return int(hash(key) / Buckets % uint64(parts)) }

func hash(key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key)) // never fails
	// FNV's low bits depend on the low bits of the text alone, so the high ones are mixed in.
	sum := h.Sum64()
	return sum ^ sum>>32
}

// errBroken means that a stored row is not what this program wrote.
var errBroken = errors.New("the stored records cannot be read")

// appendEntry appends a record as Kafka returned it, and the key of its story. Decoding it again gives the same message.
func appendEntry(b []byte, key string, r messages.Record) []byte {
	b = appendText(b, key)
	b = appendText(b, r.Topic)
	b = binary.AppendVarint(b, int64(r.Partition))
	b = binary.AppendVarint(b, r.Offset)
	b = binary.AppendVarint(b, r.Time.UnixMicro())
	b = appendBytes(b, r.Key)
	b = appendBytes(b, r.Value)
	b = binary.AppendUvarint(b, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		b = appendText(b, h.Key)
		b = appendBytes(b, h.Value)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendBytes keeps nil apart from an empty value.
func appendBytes(b, value []byte) []byte {
	if value == nil {
		return append(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(value))+1), value...)
}

// entries reads what appendEntry wrote. The first error stays, and what follows it is zero.
type entries struct {
	b      []byte
	broken bool
}

// next returns the next record and the key of its story. The record shares the memory of the entries.
func (e *entries) next() (key string, r messages.Record) {
	key, r.Topic = string(e.text()), string(e.text())
	r.Partition, r.Offset = int32(e.number()), e.number()
	r.Time = time.UnixMicro(e.number()).UTC()
	r.Key, r.Value = e.bytes(), e.bytes()
	n := e.length()
	if n > uint64(len(e.b)) { // each header takes a byte at least
		e.broken = true
		return key, r
	}
	if n > 0 {
		r.Headers = make(messages.Headers, n)
	}
	for i := range r.Headers {
		r.Headers[i] = messages.Header{Key: string(e.text()), Value: e.bytes()}
	}
	return key, r
}

// skip passes over the next record and returns its key.
func (e *entries) skip() (key []byte) {
	key = e.text()
	e.text()
	e.number()
	e.number()
	e.number()
	e.bytes()
	e.bytes()
	for n := e.length(); n > 0 && !e.broken; n-- {
		e.text()
		e.bytes()
	}
	return key
}

func (e *entries) number() int64 {
	v, n := binary.Varint(e.b)
	if n <= 0 {
		e.broken, e.b = true, nil
		return 0
	}
	e.b = e.b[n:]
	return v
}

func (e *entries) length() uint64 {
	v, n := binary.Uvarint(e.b)
	if n <= 0 {
		e.broken, e.b = true, nil
		return 0
	}
	e.b = e.b[n:]
	return v
}

func (e *entries) text() []byte { return e.take(e.length()) }

func (e *entries) bytes() []byte {
	n := e.length()
	if n == 0 {
		return nil
	}
	return e.take(n - 1)
}

func (e *entries) take(n uint64) []byte {
	if n > uint64(len(e.b)) {
		e.broken, e.b = true, nil
		return nil
	}
	taken := e.b[:n:n]
	e.b = e.b[n:]
	return taken
}

// packer compresses rows. It may be used by several goroutines.
type packer struct {
	in  *zstd.Encoder
	out *zstd.Decoder
}

func newPacker() (*packer, error) {
	in, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(128<<10))
	if err != nil {
		return nil, fmt.Errorf("compress records: %w", err)
	}
	out, err := zstd.NewReader(nil)
	if err != nil {
		return nil, fmt.Errorf("compress records: %w", err)
	}
	return &packer{in, out}, nil
}

func (p *packer) close() {
	_ = p.in.Close()
	p.out.Close()
}
