package kafka

import (
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
)

const (
	// MaxBatch is how much one batch may inflate to, in bytes, here as in the services. Kafka bounds a batch as it is sent,
	// compressed: 20 KB can become 150 MB. A reader passes over a batch beyond it (*kgo.ErrDecompressTooLarge names the
	// offset behind).
	MaxBatch = kafka.MaxInflated
	// fetchBytes is how much Kafka sends at a time, compressed. One batch always fits.
	fetchBytes = 1 << 20
	// recordBytes is what the client keeps of each record beside its content.
	recordBytes = 256
)

// ErrNoRoom says that a batch did not fit beside those in memory. The client asks Kafka for it again.
var ErrNoRoom = errors.New("there is no room in memory for another batch")

// ReadingOptions are what every client that reads needs beside Options: only committed records, and bounded memory. A
// response can hold a thousand small batches that each inflate to MaxBatch, so take is asked before the records of an
// inflated batch are made: it takes so many bytes, or returns false and takes none. The client calls it from several
// goroutines.
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

// inflater returns the library's own decompressor with a bound. The library gives one away only through a client.
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

type decompressor struct {
	inflate kgo.Decompressor
	take    func(bytes int) bool
}

// Decompress inflates one batch. The library drops an error when the response had batches before it, and asks again.
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

// countRecords counts the records of an inflated batch: each begins with its length. A batch of empty records takes far
// more memory than bytes.
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

// Memory returns what the records take in memory.
func Memory(records ...*kgo.Record) (bytes int) {
	for _, r := range records {
		bytes += recordBytes + len(r.Key) + len(r.Value)
		for _, h := range r.Headers {
			bytes += len(h.Key) + len(h.Value)
		}
	}
	return bytes
}
