package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/toolbox/feed"
	toolkafka "pasdetrois/toolbox/kafka"
)

// Topic is the topic of the shoppers' events, without prefix. It is not part of the contract.
const Topic = "web-events"

// flushTime is how long Close waits for the last events.
const flushTime = 8 * time.Second

// ErrNotConfirmed means that Kafka did not confirm some events. It may have them all the same.
var ErrNotConfirmed = errors.New("no confirmation from Kafka")

// webEvent is an event's body on the wire.
type webEvent struct {
	Event     string      `json:"event"`
	UserID    string      `json:"user_id"`
	SessionID string      `json:"session_id"`
	Page      string      `json:"page"`
	SKU       string      `json:"sku,omitempty"`
	Amount    json.Number `json:"amount,omitempty"`
	Currency  string      `json:"currency,omitempty"` // when it is not the default one
	Timestamp string      `json:"timestamp"`
}

func (s step) body(run string, began time.Time) ([]byte, error) {
	e := s.event()
	b := webEvent{Event: e.name, UserID: s.session.user, SessionID: fmt.Sprintf("%s-s%d", run, s.session.number), Page: e.page, SKU: e.sku,
		Timestamp: began.Add(s.at).UTC().Format("2006-01-02T15:04:05.000Z07:00")}
	if e.amount.Currency != "" {
		b.Amount = json.Number(e.amount.Decimal())
		if e.amount.Currency != messages.DefaultCurrency {
			b.Currency = e.amount.Currency
		}
	}
	return json.Marshal(b)
}

// Writer takes the events. Neither a slow one nor a broken one may delay orders, so Write never waits. One goroutine
// uses it.
type Writer interface {
	Write(user string, body []byte, at time.Time)
	// Close waits for the events that were written. It returns how many were lost, and an error with the reason.
	Close() (lost int64, err error)
}

// kafkaWriter writes events to the topic. The key is the user, so the events of a user stay in their order.
type kafkaWriter struct {
	client *kgo.Client
	topic  string
	within time.Duration // that the last events may take
	given  int64
	stored atomic.Int64
}

// OpenWriter connects to Kafka and makes sure that the topic exists. Its errors are of the network or
// *feed.UnknownTopicError.
func OpenWriter(ctx context.Context, cfg kafka.Config, within time.Duration) (Writer, error) {
	reader, err := feed.Open(ctx, feed.Config{Kafka: cfg, Topics: []string{Topic}, OpenTime: within})
	if err != nil {
		return nil, err
	}
	reader.Close()
	return newWriter(cfg, flushTime)
}

func newWriter(cfg kafka.Config, within time.Duration) (Writer, error) {
	options, err := toolkafka.Options(cfg)
	if err != nil {
		return nil, err
	}
	c, err := kgo.NewClient(append(options, kgo.ProducerLinger(20*time.Millisecond))...)
	if err != nil {
		return nil, err
	}
	return &kafkaWriter{client: c, topic: cfg.TopicPrefix + Topic, within: within}, nil
}

// Write drops the event when the client's buffer is full. Close counts it as lost.
func (w *kafkaWriter) Write(user string, body []byte, at time.Time) {
	w.given++
	r := &kgo.Record{Topic: w.topic, Key: []byte(user), Value: body, Timestamp: at}
	w.client.TryProduce(context.Background(), r, func(_ *kgo.Record, err error) {
		if err == nil {
			w.stored.Add(1)
		}
	})
}

// Close counts events that Kafka has not confirmed in time as lost.
func (w *kafkaWriter) Close() (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), w.within)
	defer cancel()
	_ = w.client.Flush(ctx) // the count below shows the events that it did not flush
	w.client.Close()
	if lost := w.given - w.stored.Load(); lost > 0 {
		return lost, ErrNotConfirmed
	}
	return 0, nil
}
