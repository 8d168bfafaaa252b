package kafka

import (
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
)

const (
	// MaxBatch is the largest size to which a batch may inflate, in bytes, here as in the services. Kafka bounds only the
	// compressed batch: 20 KB can become 150 MB. A reader passes over a larger batch (*kgo.ErrDecompressTooLarge has the
	// offset behind it).
	MaxBatch = kafka.MaxInflated
	// fetchBytes bounds one response of Kafka, compressed. One batch always fits.
	fetchBytes = 1 << 20
	// recordBytes is the memory of a record beside its content.
	recordBytes = 256
)

// ErrNoRoom says that a batch did not fit beside those in memory. The client asks Kafka for it again.
var ErrNoRoom = errors.New("there is no room in memory for another batch")

// ReadingOptions are the options that every client that reads needs beside Options: only committed records, and bounded
// memory. A response can hold a thousand small batches that each inflate to MaxBatch. So the client calls take before
// it makes the records of a batch. take reserves the bytes, or returns false and reserves none. It is called from
// several goroutines.
func ReadingOptions(take func(bytes int) bool) ([]kgo.Opt, error) {
	inflate, err := inflater()
	if err != nil {
		return nil, err
	}
	return []kgo.Opt{
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchBytes),
		kgo.WithDecompressor(decompressor{inflate, take}),
	}, nil
}

// inflater returns the library's own decompressor with a bound. The library gives access to it only through a client.
func inflater() (kgo.Decompressor, error) {
	client, err := kgo.NewClient(kgo.MaxDecompressBatchBytes(MaxBatch))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	inflate, ok := client.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	if !ok {
		return nil, errors.New("the Kafka client has no decompressor")
	}
	return inflate, nil
}

// decompressor asks for room after a batch was inflated, because only then its size is certain.
type decompressor struct {
	inflate kgo.Decompressor
	take    func(bytes int) bool
}

// Decompress inflates one batch, or returns ErrNoRoom. The library drops an error when the response had batches before
// this one, and fetches the batch again.
func (d decompressor) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	out, err := d.inflate.Decompress(src, codec)
	if err != nil {
		return nil, err
	}
	if !d.take(len(out) + recordBytes*countRecords(out)) {
		return nil, ErrNoRoom
	}
	return out, nil
}

// countRecords counts the records of an inflated batch: each begins with its length. The count matters, because a batch
// of empty records needs far more memory than it has bytes.
func countRecords(batch []byte) (n int) {
	for len(batch) > 0 {
		length, size := binary.Varint(batch)
		if size <= 0 || length < 0 || length > int64(len(batch)-size) {
			return n
		}
		batch = batch[size+int(length):]
		n++
	}
	return n
}

// Memory returns an estimate of the memory that the records use, in bytes.
func Memory(records ...*kgo.Record) (bytes int) {
	for _, r := range records {
		bytes += recordBytes + len(r.Key) + len(r.Value)
		for _, h := range r.Headers {
			bytes += len(h.Key) + len(h.Value)
		}
	}
	return bytes
}
