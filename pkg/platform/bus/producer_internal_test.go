package bus

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
)

// sender notes what is sent and refuses some values.
type sender struct {
	sarama.SyncProducer
	mu      sync.Mutex
	sent    []string
	refused map[string]bool
}

func (s *sender) SendMessage(m *sarama.ProducerMessage) (int32, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, _ := m.Value.Encode()
	if s.refused[string(value)] {
		return 0, 0, errors.New("refused " + string(value))
	}
	s.sent = append(s.sent, m.Topic+" "+string(value))
	return 0, 0, nil
}

func (s *sender) SendMessages(all []*sarama.ProducerMessage) error {
	var failed sarama.ProducerErrors
	for _, m := range all {
		if _, _, err := s.SendMessage(m); err != nil {
			failed = append(failed, &sarama.ProducerError{Msg: m, Err: err})
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return failed
}

func connectedTo(s *sender) *Producer {
	connected := make(chan struct{})
	close(connected)
	return &Producer{cfg: kafka.Config{TopicPrefix: "p."}, service: "test", log: quiet(), connected: connected, sender: s}
}

// After a failure nothing more of the key is written: it would overtake what failed. Other keys are none of its business.
func TestAFailedRecordIsNotOvertakenByOthersOfItsKey(t *testing.T) {
	t.Parallel()
	s := &sender{refused: map[string]bool{"a2": true}}
	rec := func(topic, key, value string) messages.Record {
		return messages.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}
	}
	err := connectedTo(s).PublishRecords(t.Context(), rec("t", "a", "a1"), rec("t", "b", "b1"), rec("t", "a", "a2"), rec("t", "a", "a3"),
		rec("u", "a", "a4"))
	require.ErrorContains(t, err, "publish to t: refused a2")
	require.ElementsMatch(t, []string{"p.t a1", "p.t b1", "p.u a4"}, s.sent)
}

func TestPublishingWaitsForTheConnectionAsLongAsItsContext(t *testing.T) {
	t.Parallel()
	p := connectedTo(&sender{})
	p.connected = make(chan struct{})
	p.connErr = errors.New("connection refused")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := p.PublishRecords(ctx, messages.Record{Topic: "t"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "connection refused", "why it is not connected")
	require.NoError(t, p.PublishRecords(ctx), "nothing to publish needs no Kafka")
}
