package recordbatch

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// ErrTooLarge means that a batch inflates to more than the limit.
var ErrTooLarge = errors.New("the batch inflates to more than the limit")

// The codecs of a batch. The numbers are those in the attributes of Kafka's format.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

// inflate returns the content of compressed, at most limit bytes. It never allocates much more than limit: each codec stops while
// it decodes, and trusts no size in the data. Snappy and zstd return an error for a larger content; for gzip and lz4 readAtMost
// does.
func inflate(codec int, compressed []byte, limit int) ([]byte, error) {
	switch codec {
	case codecNone:
		return compressed, nil // the broker bounds batches that are not compressed
	case codecGzip:
		r, err := gzip.NewReader(bytes.NewReader(compressed))
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return readAtMost("gzip", r, limit)
	case codecSnappy:
		out, err := xerial.DecodeCapped(make([]byte, 0, limit), compressed)
		if errors.Is(err, xerial.ErrDstTooSmall) {
			return nil, fmt.Errorf("snappy: %w of %d bytes", ErrTooLarge, limit)
		}
		if err != nil {
			return nil, fmt.Errorf("snappy: %w", err)
		}
		return out, nil
	case codecLZ4:
		return readAtMost("lz4", lz4.NewReader(bytes.NewReader(compressed)), limit)
	case codecZstd:
		r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(uint64(limit)))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		defer r.Close()
		out, err := r.DecodeAll(compressed, nil)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			return nil, fmt.Errorf("zstd: %w of %d bytes", ErrTooLarge, limit)
		}
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return out, nil
	default:
		return nil, fmt.Errorf("unknown compression %d", codec)
	}
}

// readAtMost reads one byte more than limit, which distinguishes a content of exactly limit bytes from a larger one.
func readAtMost(codec string, r io.Reader, limit int) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", codec, err)
	}
	if len(out) > limit {
		return nil, fmt.Errorf("%s: %w of %d bytes", codec, ErrTooLarge, limit)
	}
	return out, nil
}
