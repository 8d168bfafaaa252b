package recordbatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Batch is one record batch of a partition, as the broker stores it.
type Batch struct {
	First, Last int64     // offsets; after compaction not every offset between them has a record
	Time        time.Time // of its newest record
	Size        int       // in bytes, as stored

	raw     kmsg.RecordBatch
	damage  error // the reason why no limit opens it
	aborted bool  // part of an aborted transaction
}

// Record is one record of a batch. Its bytes are those of the batch, so a record that is kept keeps the whole batch in memory.
type Record struct {
	Offset  int64
	Time    time.Time
	Key     []byte // nil when the record has none
	Value   []byte // nil for a tombstone
	Headers []Header
}

// Header is one header of a record.
type Header struct{ Key, Value []byte }

// The layout of a batch of format 2, in bytes from its start, and the bits of its attributes:
//
//	0 first offset | 8 length | 12 leader epoch | 16 magic | 17 checksum | 21 attributes, counts, times ... | 61 records
const (
	headerSize  = 61     // of a batch
	lengthAt    = 8      // of its length, which counts the bytes after itself
	magicAt     = 16     // of its format
	crcAt       = 21     // of the bytes that its checksum covers
	maxHeaders  = 10_000 // of one record: each costs some 50 bytes of memory besides its own
	logAppended = 1 << 3 // attribute: the time is the broker's
	transaction = 1 << 4
	control     = 1 << 5
	codecMask   = 7
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parse reads the header of the first batch in data, nil when data holds no whole batch. It decodes no record. A batch of an old
// format, or a damaged one, is returned with its damage and with the offsets that can still be read.
func parse(data []byte) *Batch {
	if len(data) <= magicAt {
		return nil
	}
	size := int(int32(binary.BigEndian.Uint32(data[lengthAt:]))) + lengthAt + 4
	if size <= magicAt || len(data) < size {
		return nil
	}
	data = data[:size]
	b := &Batch{First: int64(binary.BigEndian.Uint64(data)), Size: size}
	b.Last = b.First // in the old formats the offset is that of the last record
	switch {
	case data[magicAt] != 2:
		b.damage = fmt.Errorf("its format %d is not read", data[magicAt])
	case size < headerSize:
		b.damage = fmt.Errorf("its header is cut at %d bytes", size)
	default:
		if err := b.raw.ReadFrom(data); err != nil {
			b.damage = fmt.Errorf("its header: %w", err)
			return b
		}
		b.raw.Records = data[headerSize:]
		b.Last = b.First + int64(b.raw.LastOffsetDelta)
		b.Time = time.UnixMilli(b.raw.MaxTimestamp)
		if sum := crc32.Checksum(data[crcAt:], castagnoli); int32(sum) != b.raw.CRC {
			b.damage = errChecksum
		}
	}
	return b
}

var errChecksum = errors.New("its checksum does not match")

// Holds reports whether the batch holds records for a reader of committed records. A transaction's marker, and a part of a
// transaction that was aborted, hold no such record. A damaged batch counts as holding some: they must not be lost unseen.
func (b *Batch) Holds() bool { return b.damage != nil || b.raw.Attributes&control == 0 && !b.aborted }

// Open decodes the batch, inflated to at most limit bytes. Its error wraps ErrTooLarge, or describes the damage. It checks every
// record before it returns, so a batch is either read whole or not at all. Next of its result then never fails.
func (b *Batch) Open(limit int) (*Records, error) {
	if b.damage != nil {
		return nil, b.damage
	}
	data, err := inflate(int(b.raw.Attributes&codecMask), b.raw.Records, limit)
	if err != nil {
		return nil, err
	}
	for check := (&Records{batch: b, rest: data, left: b.raw.NumRecords}); ; {
		if _, ok, err := check.Next(); err != nil {
			return nil, err
		} else if !ok {
			return &Records{batch: b, rest: data, left: b.raw.NumRecords}, nil
		}
	}
}

// Records are the records of a batch, in order.
type Records struct {
	batch *Batch
	rest  []byte
	left  int32
}

// Next returns the next record, or false after the last one.
func (r *Records) Next() (Record, bool, error) {
	if r.left <= 0 {
		return Record{}, false, nil
	}
	f := fields{rest: r.rest}
	size := f.varint()
	if f.bad || size < 0 || size > int64(len(f.rest)) {
		return Record{}, false, fmt.Errorf("the batch ends %d records before its count", r.left)
	}
	r.rest, f.rest = f.rest[size:], f.rest[:size]
	r.left--
	f.bytes(1) // attributes, unused
	sinceFirst, delta := f.varint(), f.varint()
	out := Record{Offset: r.batch.First + delta, Time: time.UnixMilli(r.batch.raw.FirstTimestamp + sinceFirst)}
	if r.batch.raw.Attributes&logAppended != 0 {
		out.Time = r.batch.Time
	}
	out.Key, out.Value = f.nullable(), f.nullable()
	headers := f.varint()
	if f.bad || headers < 0 || delta < 0 || delta > int64(r.batch.raw.LastOffsetDelta) {
		return Record{}, false, fmt.Errorf("a record is malformed, %d records before the last", r.left)
	}
	if headers > maxHeaders {
		return Record{}, false, fmt.Errorf("the record at offset %d has %d headers, at most %d are read", out.Offset, headers, maxHeaders)
	}
	if headers > 0 {
		out.Headers = make([]Header, 0, min(headers, int64(len(f.rest)/2)))
	}
	for range headers {
		h := Header{Key: f.nullable(), Value: f.nullable()}
		if f.bad {
			return Record{}, false, fmt.Errorf("a header of the record at offset %d is malformed", out.Offset)
		}
		out.Headers = append(out.Headers, h)
	}
	return out, true, nil
}

// fields reads the fields of a record. After a missing field, bad is set and all later fields are empty.
type fields struct {
	rest []byte
	bad  bool
}

// varint reads a signed number in zigzag form.
func (f *fields) varint() int64 {
	v, n := binary.Varint(f.rest)
	if n <= 0 {
		f.bad, n = true, 0
	}
	f.rest = f.rest[n:]
	return v
}

// bytes returns the next n bytes. Its capacity ends with them, so an append by the caller cannot change the record behind.
func (f *fields) bytes(n int64) []byte {
	if f.bad || n > int64(len(f.rest)) {
		f.bad = true
		return nil
	}
	out := f.rest[:n:n]
	f.rest = f.rest[n:]
	return out
}

// nullable reads bytes behind their length, which is -1 for null.
func (f *fields) nullable() []byte {
	n := f.varint()
	if n < 0 {
		f.bad = f.bad || n != -1
		return nil
	}
	return f.bytes(n)
}
