package lanes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/recordbatch"
	"pasdetrois/pkg/platform/wait"
)

const (
	// probeBytes bounds how far a probe reads to find the batch that sarama cannot read.
	probeBytes = 4 * answerBytes
	// batchWait is how long one fetch of the next batch may wait for records.
	batchWait = 500 * time.Millisecond

	reasonBatchTooLarge   = "batch_too_large"
	reasonBatchUnreadable = "batch_unreadable"
)

// passage is a claim that gets past a batch which sarama cannot read. Sarama fetches such a batch again and again, and the
// partition would stand still for good.
//
//		            fetchFailed, Stands             blocked: yes               claim ends
//		watching -----------------------> probing --------------> diverted ---------------> ended
//		    ^                                |                    (readOn)
//		    +--------------------------------+
//		              blocked: no
//
//	  - Each failed fetch of the topic wakes the passage, and so does the monitor when records wait and none is read.
//	  - It probes whether sarama refuses a batch at the claim's position (blocked).
//	  - If so, it ends sarama's reading of this partition. Records that sarama has read are still handed over.
//	  - Then it reads batch by batch, in bounded memory, until the claim ends (readOn). A batch that inflates to more than
//	    kafka.MaxInflated, or that cannot be decoded, is handed over as one message: its dead letter has the batch's
//	    offsets, and its acknowledgement marks the batch's last offset.
//
// Every record of the partition is handed over once and in order, whichever client read it.
type passage struct {
	sarama.ConsumerGroupClaim
	session sarama.ConsumerGroupSession
	claims  *Claims

	failed   chan struct{} // gets a value after a failed fetch
	next     atomic.Int64  // offset to hand over next; before the first record, sarama's value for the oldest or newest
	diverted atomic.Bool
	ended    context.Context
}

// bySelf is the part of sarama's claim that ends sarama's reading of the partition: a claim is a PartitionConsumer too.
type bySelf interface{ AsyncClose() }

func (c *Claims) newPassage(ended context.Context, session sarama.ConsumerGroupSession, sc sarama.ConsumerGroupClaim) *passage {
	p := &passage{ConsumerGroupClaim: sc, session: session, claims: c, failed: make(chan struct{}, 1), ended: ended}
	p.next.Store(sc.InitialOffset())
	return p
}

// took records how far the partition was handed over.
func (p *passage) took(m *sarama.ConsumerMessage) { p.next.Store(m.Offset + 1) }

// fetchFailed wakes the passage.
func (p *passage) fetchFailed() {
	select {
	case p.failed <- struct{}{}:
	default:
	}
}

// watch diverts the partition when a batch blocks it. It returns when the claim ends.
func (p *passage) watch() {
	for {
		select {
		case <-p.failed:
		case <-p.ended.Done():
			return
		}
		blocked, err := p.blocked()
		log := p.claims.log.With("topic", p.Topic(), "partition", p.Partition())
		if err != nil && p.ended.Err() == nil {
			log.Debug("could not probe whether a batch blocks the partition", "err", err)
		}
		if blocked == nil {
			continue
		}
		client, ok := p.ConsumerGroupClaim.(bySelf)
		if !ok {
			log.Error("a batch cannot be read and the partition stands: the Kafka client has no way to stop reading it", "offset", blocked.First)
			continue
		}
		log.Warn("the Kafka client cannot read a batch, reading the partition batch by batch", "offset", blocked.First, "status", "diverted")
		p.diverted.Store(true)
		client.AsyncClose()
		return
	}
}

// blocked returns the first batch at the claim's position that sarama cannot read, nil when there is none.
func (p *passage) blocked() (*recordbatch.Batch, error) {
	reader, err := p.reader()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	for read := 0; read < probeBytes; {
		b, err := reader.Next(p.ended, time.Millisecond)
		if b == nil || err != nil {
			return nil, err
		}
		if _, err := b.Open(clientInflates); err != nil && b.Holds() {
			return b, nil
		}
		read += b.Size
	}
	return nil, nil
}

// reader returns a reader at the claim's position.
func (p *passage) reader() (*recordbatch.Reader, error) {
	cfg := p.claims.cfg
	options, err := kafka.Options(cfg.Brokers, cfg.Access)
	if err != nil {
		return nil, err
	}
	next := p.next.Load()
	reader, err := recordbatch.NewReader(append(options, kgo.ClientID(kafka.ClientID(p.claims.service)), kgo.WithContext(p.ended)), p.Topic(), p.Partition(), max(next, 0))
	if err != nil || next >= 0 {
		return reader, err
	}
	if next == sarama.OffsetNewest {
		err = reader.SeekEnd(p.ended)
	} else {
		err = reader.SeekBegin(p.ended)
	}
	if err != nil {
		reader.Close()
		return nil, err
	}
	return reader, nil
}

// onward returns the records behind those that sarama read, nil when the claim has ended.
func (p *passage) onward() <-chan *sarama.ConsumerMessage {
	if !p.diverted.Load() || p.ended.Err() != nil {
		return nil
	}
	out := make(chan *sarama.ConsumerMessage)
	go func() {
		defer close(out)
		p.claims.detours.begin(p)
		defer p.claims.detours.end(p)
		p.readOn(out)
	}()
	p.diverted.Store(false) // once
	return out
}

// readOn hands the partition over batch by batch until the claim ends, or until retention has deleted its position.
func (p *passage) readOn(out chan<- *sarama.ConsumerMessage) {
	var reader *recordbatch.Reader
	defer func() {
		if reader != nil {
			reader.Close()
		}
	}()
	for attempt := 0; p.ours(); {
		b, err := (*recordbatch.Batch)(nil), error(nil)
		if reader == nil {
			reader, err = p.reader()
		}
		if err == nil {
			b, err = reader.Next(p.ended, batchWait)
		}
		switch {
		case p.ended.Err() != nil, errors.Is(err, recordbatch.ErrGone):
			return // the session begins again, and the opener finds an offset that exists
		case err != nil:
			if attempt++; attempt%10 == 1 {
				p.claims.log.Warn("could not read the partition batch by batch, trying again", "topic", p.Topic(), "partition", p.Partition(), "attempt", attempt, "err", err)
			}
			p.claims.detours.failing(p, err)
			wait.Sleep(p.ended, wait.Backoff(attempt, kafka.RetryPause, 2*time.Second))
			continue
		}
		attempt = 0
		p.claims.detours.failing(p, nil)
		if b != nil && b.Holds() && !p.handOver(b, out) {
			return
		}
	}
}

// ours reports whether this member may still read the partition. A claim that was revoked alone does not end the session.
func (p *passage) ours() bool {
	return p.ended.Err() == nil && slices.Contains(p.session.Claims()[p.Topic()], p.Partition())
}

// handOver hands over a batch's records, or one message that stands for the batch. It returns false when the claim ended.
func (p *passage) handOver(b *recordbatch.Batch, out chan<- *sarama.ConsumerMessage) bool {
	records, err := b.Open(kafka.MaxInflated)
	if err != nil {
		m := &sarama.ConsumerMessage{Topic: p.Topic(), Partition: p.Partition(), Offset: b.Last, Timestamp: b.Time}
		p.claims.unread.add(m, max(b.First, p.next.Load()), unreadable(b, err))
		return p.send(m, out)
	}
	for {
		r, ok, err := records.Next()
		if err != nil || !ok { // Open has decoded the whole batch, so err is nil
			return true
		}
		if r.Offset < p.next.Load() {
			continue
		}
		// Cloned, because a record that waits must not keep its whole batch in memory.
		m := &sarama.ConsumerMessage{Topic: p.Topic(), Partition: p.Partition(), Offset: r.Offset, Timestamp: r.Time,
			Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, &sarama.RecordHeader{Key: bytes.Clone(h.Key), Value: bytes.Clone(h.Value)})
		}
		if !p.send(m, out) {
			return false
		}
	}
}

func (p *passage) send(m *sarama.ConsumerMessage, out chan<- *sarama.ConsumerMessage) bool {
	select {
	case out <- m:
		return true
	case <-p.ended.Done():
		return false
	}
}

// unreadable returns the permanent error that a batch is parked with.
func unreadable(b *recordbatch.Batch, err error) error {
	reason := reasonBatchUnreadable
	if errors.Is(err, recordbatch.ErrTooLarge) {
		reason = reasonBatchTooLarge
	}
	return fault.Wrap(reason, fmt.Errorf("the batch of offsets %d to %d, %d bytes as it is stored, was not read: %w", b.First, b.Last, b.Size, err))
}
