package bus

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/lanes"
)

func TestReadinessOfKafkaIsTheLastAnswerWhileItIsFresh(t *testing.T) {
	t.Parallel()
	m := newMonitor(kafka.Config{}, "test", nil, nil, quiet(), lanes.NewSessions(), &lanes.Notices{})
	require.ErrorContains(t, m.check(), "not connected yet")
	m.report(nil)
	require.NoError(t, m.check())
	m.report(errors.New("refused"))
	require.ErrorContains(t, m.check(), "refused")
	m.report(nil)
	require.NoError(t, m.check())
	m.lastOK = m.lastOK.Add(-monitorStale - time.Second)
	require.ErrorContains(t, m.check(), "has not answered for", "a broker that hangs does not even answer with an error")
}
