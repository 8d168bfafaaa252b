package bus

import (
	"errors"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/pkg/platform/tracing/tracingtest"
)

// The records of one publication fail each for itself: a span tells what became of its own record.
func TestTheSpanOfARecordThatWasWrittenHasNoError(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	tracer, err := tracing.Start(tracing.Settings{Endpoint: collector.URL}, tracing.Process{Service: "test"}, quiet())
	require.NoError(t, err)
	p := connectedTo(&sender{refused: map[string]bool{"a1": true}})
	p.tracer = tracer
	rec := func(key, value string) messages.Record {
		return messages.Record{Topic: "things", Key: []byte(key), Value: []byte(value)}
	}
	require.Error(t, p.PublishRecords(t.Context(), rec("a", "a1"), rec("b", "b1"), rec("a", "a2")))
	tracer.Close()
	failed := map[string]int{}
	for _, s := range collector.Spans() {
		require.Equal(t, "send p.things", s.Name)
		require.Equal(t, "p.things", s.Attributes["messaging.destination.name"])
		require.Equal(t, s.Failed, s.Attributes["error.type"] != "")
		if s.Failed {
			failed[s.Attributes["messaging.kafka.message.key"]]++
		}
	}
	require.Equal(t, map[string]int{"a": 2}, failed, "the second record of the key was never sent")
}

func TestErrorsOfKafkaHaveTheNamesOfItsProtocol(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		sarama.ErrNotEnoughReplicas:     "NOT_ENOUGH_REPLICAS",
		sarama.ErrMessageSizeTooLarge:   "MESSAGE_TOO_LARGE",
		sarama.ErrLeaderNotAvailable:    "LEADER_NOT_AVAILABLE",
		sarama.ErrNotLeaderForPartition: "NOT_LEADER_FOR_PARTITION",
	} {
		wrapped := named(unwritten{errors.Join(&sarama.ProducerError{Err: err}), nil})
		var typed tracing.Typed
		require.ErrorAs(t, wrapped, &typed)
		require.Equal(t, want, typed.ErrorType())
		require.ErrorIs(t, wrapped, err)
	}
	plain := errors.New("refused")
	require.Equal(t, plain, named(plain))
	require.NoError(t, named(nil))
}
