package bus

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/lanes"
)

// stretch is a part of a log without records for a reader of committed records: ends of transactions, records of aborted
// ones, gaps of compaction. It stays true, because only decided transactions count.
type stretch struct {
	from, to int64 // to is not part of it
	data     bool  // there is a record for readers at to
}

const (
	// fetchesForNothing bounds the fetches of one round; the next round resumes where this one ended.
	fetchesForNothing = 16
	// fetchBytes bounds one fetch. Kafka returns at least one batch, even a larger one.
	fetchBytes = 64 << 10
)

// after returns the stretch for an offset: the same one if the offset is in it, else an empty one.
func (s stretch) after(offset int64) stretch {
	if offset < s.from || offset > s.to {
		return stretch{from: offset, to: offset}
	}
	return s
}

// grow extends the stretch up to the offset stable, or to the first record that is delivered. It fetches by itself, because
// sarama's consumer does not report the offsets that it skips. After an error it returns the part that it has found.
func (s stretch) grow(client sarama.Client, key lanes.Partition, stable int64) (stretch, error) {
	for range fetchesForNothing {
		if s.data || s.to >= stable {
			return s, nil
		}
		block, err := fetchCommitted(client, key, s.to)
		if errors.Is(err, sarama.ErrDecompressedBatchTooLarge) {
			s.data = true // the batch has records; a passage reads them
			return s, nil
		}
		if err != nil {
			return s, err
		}
		before := s.to
		s.to, s.data = passNothing(block, s.to)
		if s.to == before {
			return s, nil
		}
	}
	return s, nil
}

// fetchCommitted reads a little of a partition from an offset on, as a reader of committed records does.
func fetchCommitted(client sarama.Client, key lanes.Partition, offset int64) (*sarama.FetchResponseBlock, error) {
	leader, err := client.Leader(key.Topic, key.Number)
	if err != nil {
		return nil, fmt.Errorf("leader of %s/%d: %w", key.Topic, key.Number, err)
	}
	// Version 11 is of Kafka 2.3; session 0 with epoch -1 asks for no session.
	req := &sarama.FetchRequest{Version: 11, MinBytes: 1, MaxBytes: fetchBytes, Isolation: sarama.ReadCommitted, SessionEpoch: -1}
	req.AddBlock(key.Topic, key.Number, offset, fetchBytes, -1)
	answer, err := leader.Fetch(req)
	if err != nil {
		return nil, fmt.Errorf("look into %s/%d: %w", key.Topic, key.Number, err)
	}
	block := answer.GetBlock(key.Topic, key.Number)
	if block == nil {
		return nil, fmt.Errorf("look into %s/%d: %w", key.Topic, key.Number, sarama.ErrIncompleteResponse)
	}
	if block.Err != sarama.ErrNoError {
		return nil, fmt.Errorf("look into %s/%d: %w", key.Topic, key.Number, block.Err)
	}
	return block, nil
}

// passNothing returns the offset up to which the batches deliver nothing from an offset on, and whether it ended at a
// record that is delivered.
func passNothing(block *sarama.FetchResponseBlock, offset int64) (next int64, data bool) {
	aborted := make(map[int64]bool) // by producer: its transaction is aborted, and has begun before the batch at hand
	begun := 0                      // aborted transactions that have begun; they come in the order of their first offsets
	for _, records := range block.RecordsSet {
		batch := records.RecordBatch
		if batch == nil { // an old format, which has no transactions
			return offset, len(records.MsgSet.Messages) > 0
		}
		if batch.PartialTrailingRecord {
			return offset, false
		}
		for ; begun < len(block.AbortedTransactions) && block.AbortedTransactions[begun].FirstOffset <= batch.LastOffset(); begun++ {
			aborted[block.AbortedTransactions[begun].ProducerID] = true
		}
		switch {
		case batch.LastOffset() < offset || len(batch.Records) == 0:
		case batch.Control:
			if isAbort(batch) {
				delete(aborted, batch.ProducerID)
			}
		case batch.IsTransactional && aborted[batch.ProducerID]:
		default:
			return max(offset, batch.FirstOffset), true
		}
		offset = max(offset, batch.LastOffset()+1)
	}
	return offset, false
}

// isAbort reports whether a control batch ends an aborted transaction: its key is a version and a type, two bytes each.
func isAbort(batch *sarama.RecordBatch) bool {
	key := batch.Records[0].Key
	return len(key) >= 4 && key[2] == 0 && key[3] == byte(sarama.ControlRecordAbort)
}
