package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/pkg/platform/wait"
)

// closeTimeout bounds the wait of Close for a broker that does not answer.
const closeTimeout = 5 * time.Second

// Producer is the Publisher over Kafka. It connects in the background and retries, so a service starts although Kafka is
// down. It is safe for concurrent use; concurrent calls share requests to the broker.
//
//	connecting --success--> connected --Close--> closed
//	    |  ^ failed: again after a pause            ^
//	    |  `-                                       |
//	    +------------------ Close ------------------+
//
// Publish waits while it connects. Once connected, sarama reconnects by itself.
type Producer struct {
	cfg     kafka.Config
	service string
	log     *slog.Logger
	tracer  *tracing.Tracer // makes a span of each record
	signer  *signing.Signer

	cutLines  context.CancelFunc // also ends connecting
	connected chan struct{}      // closed once sender is set
	stopped   chan struct{}      // closed when connecting has ended, with or without success

	mu      sync.Mutex
	sender  sarama.SyncProducer // set before connected is closed, and never changed
	client  sarama.Client       // of sender alone: fetches on the same connection would delay it
	connErr error               // of the latest attempt; nil once connected
}

// ProducerConfig configures a Producer.
type ProducerConfig struct {
	kafka.Config
	Service string // the source of messages without one
	Log     *slog.Logger
	Tracer  *tracing.Tracer
	Signer  *signing.Signer // nil: nothing is signed
}

// NewProducer makes a producer and starts to connect. Close it after everything that publishes has stopped.
func NewProducer(cfg ProducerConfig) (*Producer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Producer{cfg: cfg.Config, service: cfg.Service, log: cfg.Log, tracer: cfg.Tracer, signer: cfg.Signer, cutLines: cancel,
		connected: make(chan struct{}), stopped: make(chan struct{}),
		connErr: errors.New("not connected yet")}
	go p.connect(ctx)
	return p, nil
}

// connect tries until it succeeds or the producer is closed. It logs the first failure and then each tenth.
func (p *Producer) connect(ctx context.Context) {
	defer close(p.stopped)
	for attempt := 1; ; attempt++ {
		client, sender, err := p.open(ctx)
		p.mu.Lock()
		if err == nil {
			p.client, p.sender, p.connErr = client, sender, nil
			p.mu.Unlock()
			close(p.connected)
			return
		}
		p.connErr = err
		p.mu.Unlock()
		if attempt == 1 || attempt%10 == 0 {
			p.log.Warn("waiting for kafka to publish", "attempt", attempt, "err", err)
		}
		if !wait.Sleep(ctx, wait.Backoff(attempt, 250*time.Millisecond, time.Second)) {
			return
		}
	}
}

// open connects once. When it fails it closes everything; sarama's own constructor leaves connections behind.
func (p *Producer) open(ctx context.Context) (sarama.Client, sarama.SyncProducer, error) {
	sc := producerConfig(ctx, "pasdetrois-"+p.service)
	if err := p.cfg.Secure(sc); err != nil {
		return nil, nil, err
	}
	client, err := sarama.NewClient(p.cfg.Brokers, sc)
	if err != nil {
		return nil, nil, p.cfg.Explained(fmt.Sprintf("connect to %v", p.cfg.Brokers), err)
	}
	sender, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		_ = client.Close()
		return nil, nil, p.cfg.Explained(fmt.Sprintf("open a producer at %v", p.cfg.Brokers), err)
	}
	return client, sender, nil
}

// Publish implements Publisher. When one message cannot be encoded, nothing is published.
func (p *Producer) Publish(ctx context.Context, msgs ...messages.Message) error {
	records := make([]messages.Record, len(msgs))
	for i, m := range msgs {
		if m.Source == "" {
			m.Source = p.service
		}
		r, err := m.Record()
		if err != nil {
			return fmt.Errorf("encode %s %s: %w", m.Event.EventName(), m.ID, err)
		}
		records[i] = r
	}
	return p.PublishRecords(ctx, records...)
}

// PublishRecords implements Publisher. Records of one topic and key are written in order; others at the same time.
func (p *Producer) PublishRecords(ctx context.Context, records ...messages.Record) error {
	if len(records) == 0 {
		return nil
	}
	// A batch's messages are signed already. Others are signed when they are published and not when they are stored: those of an
	// outbox from before the service had its key are signed, too.
	records, err := p.signer.Records(records)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if p.tracer.On() {
		traced, end := p.sending(ctx, records)
		err := p.send(ctx, traced)
		end(err)
		return err
	}
	return p.send(ctx, records)
}

// send waits for the connection, then publishes. When ctx ends first, the records may still be written afterwards: sarama's call
// goes on in its goroutine, and its result is dropped.
func (p *Producer) send(ctx context.Context, records []messages.Record) error {
	select {
	case <-p.connected:
	case <-ctx.Done():
		return fmt.Errorf("publish: kafka is not connected (%w): %w", p.lastError(), ctx.Err())
	}

	// Sarama's calls take no context and may outlast a broker's restart, so the wait ends here.
	done := make(chan error, 1)
	go func() { done <- p.sendRuns(records, inKeyOrder(records)) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("publish: not acknowledged in time, may be written: %w", ctx.Err())
	}
}

// sendRuns sends the first record of every run at the same time, then the second ones, and so on:
//
//	run A   a1 ──> a2 ──> a3
//	run B   b1 ──> b2 failed: b3 is not sent
//	run C   c1
//	        1st    2nd    3rd round
//
// A run ends with a record that failed, because the next one would overtake it. The error is an unwritten.
func (p *Producer) sendRuns(records []messages.Record, runs [][]int) error {
	var errs []error
	var lost []int
	for at := 0; len(runs) > 0; at++ {
		together := make([]*sarama.ProducerMessage, len(runs))
		for i, run := range runs {
			together[i] = kafka.ToSarama(records[run[at]], p.cfg.TopicPrefix)
		}
		failed := p.sendTogether(together)
		unfinished := runs[:0]
		for i, run := range runs {
			if err := failed[together[i]]; err != nil {
				errs = append(errs, fmt.Errorf("publish to %s: %w", records[run[at]].Topic, p.cfg.Explain(err)))
				lost = append(lost, run[at:]...)
			} else if at+1 < len(run) {
				unfinished = append(unfinished, run)
			}
		}
		runs = unfinished
	}
	if len(errs) == 0 {
		return nil
	}
	return unwritten{errors.Join(errs...), lost}
}

// unwritten is the error of a publication with records that were not written. All other records are acknowledged.
type unwritten struct {
	error
	indexes []int // indexes of the records that were not written
}

// Unwrap returns the errors of the records.
func (u unwritten) Unwrap() error { return u.error }

// sendTogether sends messages of different keys in one call, and returns the error of each that was not written. An error about
// the call as a whole counts for every message.
func (p *Producer) sendTogether(all []*sarama.ProducerMessage) map[*sarama.ProducerMessage]error {
	failed := map[*sarama.ProducerMessage]error{}
	if len(all) == 1 {
		if _, _, err := p.sender.SendMessage(all[0]); err != nil {
			failed[all[0]] = err
		}
		return failed
	}
	err := p.sender.SendMessages(all)
	var several sarama.ProducerErrors
	switch {
	case errors.As(err, &several):
		for _, e := range several {
			failed[e.Msg] = e.Err
		}
	case err != nil:
		for _, m := range all {
			failed[m] = err
		}
	}
	return failed
}

// inKeyOrder splits records into runs of indexes. The records of a run have one topic and key, and are written in order.
func inKeyOrder(records []messages.Record) [][]int {
	if len(records) == 1 {
		return [][]int{{0}}
	}
	type run struct{ topic, key string }
	index := make(map[run]int, len(records))
	var runs [][]int
	for at, r := range records {
		l := run{r.Topic, string(r.Key)}
		i, ok := index[l]
		if !ok {
			i = len(runs)
			index[l] = i
			runs = append(runs, nil)
		}
		runs[i] = append(runs[i], at)
	}
	return runs
}

// lastError returns the error of the latest attempt to connect, nil once connected.
func (p *Producer) lastError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connErr
}

// Check is the producer's readiness check: nil once it is connected. It sends no request. A broker that is lost later shows in
// the consumer's check, whose monitor asks Kafka every few seconds.
func (p *Producer) Check(context.Context) error {
	if err := p.lastError(); err != nil {
		return fmt.Errorf("kafka producer: %w", err)
	}
	return nil
}

// Close flushes and disconnects. It gives up after a few seconds when a broker does not answer: messages without an
// acknowledgement are in the outbox, or their causes are redelivered.
func (p *Producer) Close() error {
	defer p.cutLines()
	select {
	case <-p.connected:
	default:
		p.cutLines()
	}
	<-p.stopped
	p.mu.Lock()
	sender, client := p.sender, p.client
	p.mu.Unlock()
	if sender == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- errors.Join(sender.Close(), client.Close()) }()
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("close kafka producer: %w", err)
		}
		return nil
	case <-timeout.C:
		return errors.New("close kafka producer: the broker does not answer")
	}
}
