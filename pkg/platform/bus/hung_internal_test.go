package bus

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/kafka"
)

// A paused broker still accepts connections and answers nothing. Whoever stops a service in that state must not wait
// for the client's own patience, which is minutes: the containers' grace period is over long before.
const patienceOfAnOperator = 12 * time.Second

// hungBroker returns the address of a broker that never answers, and a channel that tells each connection.
func hungBroker(t *testing.T) (addr string, connected <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	came := make(chan struct{}, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
			came <- struct{}{}
		}
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String(), came
}

func receive[T any](t *testing.T, ch <-chan T, within time.Duration, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(within):
		require.FailNow(t, what)
		panic("unreachable")
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestStoppingBeforeAHungBrokerAnsweredIsQuick(t *testing.T) {
	t.Parallel()
	addr, connected := hungBroker(t)
	c := newTestConsumer(t, addr)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	receive(t, connected, time.Minute, "nobody looked for the topics")
	cancel()
	require.NoError(t, receive(t, ended, patienceOfAnOperator, "Run waits for a broker that hangs"))
}

func TestStoppingWhileSubscribingToAHungBrokerIsQuick(t *testing.T) {
	t.Parallel()
	addr, connected := hungBroker(t)
	c := newTestConsumer(t, addr)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.consume(ctx) }()
	receive(t, connected, time.Minute, "it did not subscribe")
	cancel()
	receive(t, ended, patienceOfAnOperator, "subscribing waits for a broker that hangs")
}

func TestClosingAProducerBeforeAHungBrokerAnsweredIsQuick(t *testing.T) {
	t.Parallel()
	addr, connected := hungBroker(t)
	p, err := NewProducer(ProducerConfig{Config: kafka.Config{Brokers: []string{addr}}, Service: "test", Log: quiet()})
	require.NoError(t, err)
	receive(t, connected, time.Minute, "it did not connect")
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	require.NoError(t, receive(t, closed, patienceOfAnOperator, "Close waits for a broker that hangs"))
}
