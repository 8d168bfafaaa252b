package cli_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"pasdetrois/cmd/pas/internal/cli"
)

// crowded is a listener whose queue of connections is full. Linux drops each further connect until accepts is called.
type crowded struct {
	net.Listener
	open  chan struct{}
	first net.Conn
	once  sync.Once
}

func crowd(t *testing.T) *crowded {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	file := os.NewFile(uintptr(fd), "listener")
	defer func() { _ = file.Close() }()
	l, err := net.FileListener(file)
	require.NoError(t, err)
	first, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	c := &crowded{Listener: l, open: make(chan struct{}), first: first}
	t.Cleanup(c.accepts)
	return c
}

// Accept implements net.Listener. It waits for accepts.
func (c *crowded) Accept() (net.Conn, error) {
	<-c.open
	return c.Listener.Accept()
}

func (c *crowded) accepts() {
	c.once.Do(func() {
		_ = c.first.Close()
		close(c.open)
	})
}

// TestACommandWaitsForABrokerThatAcceptsLate: longer than a few attempts to connect take.
func TestACommandWaitsForABrokerThatAcceptsLate(t *testing.T) {
	t.Parallel()
	late := crowd(t)
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return late, nil }))
	require.NoError(t, err)
	t.Cleanup(broker.Close)
	t.Cleanup(late.accepts) // before Close, which waits for Accept
	ended := make(chan string, 2)
	for _, args := range [][]string{{"topics", "list"}, {"tail", "orders", "--no-follow"}} {
		go func() {
			var stdout, stderr bytes.Buffer
			code := cli.Run(t.Context(), cli.Program{Args: append(args, "--brokers", late.Addr().String()), Stdout: &stdout, Stderr: &stderr,
				Patience: patience, NoticeAfter: time.Second})
			ended <- fmt.Sprintf("%d %s%s", code, stdout.String(), stderr.String())
		}()
	}
	select {
	case got := <-ended:
		require.Fail(t, got)
	case <-time.After(12 * time.Second):
	}
	late.accepts()
	for range 2 {
		got := <-ended
		require.Contains(t, got, "Waiting for Kafka at "+late.Addr().String()+", at most 2m; Ctrl-C ends.\n")
		require.Equal(t, "0", got[:1], got)
	}
}

// TestASecondBrokerGetsItsTurn: the first accepts nothing.
func TestASecondBrokerGetsItsTurn(t *testing.T) {
	t.Parallel()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	require.NoError(t, err)
	t.Cleanup(broker.Close)
	brokers := crowd(t).Addr().String() + "," + broker.ListenAddrs()[0]
	for _, args := range [][]string{{"topics", "list"}, {"tail", "orders", "--no-follow"}} {
		got := pas(t, nil, append(args, "--brokers", brokers)...)
		require.Equal(t, cli.ExitOK, got.code, got.stderr)
	}
}

func TestABrokerThatNeverAcceptsIsGivenUp(t *testing.T) {
	t.Parallel()
	brokers := crowd(t).Addr().String()
	for _, args := range [][]string{{"topics", "list"}, {"tail", "orders", "--no-follow"}, {"rest"}} {
		got := impatient(t, nil, append(args, "--brokers", brokers)...)
		require.Equal(t, cli.ExitFailure, got.code)
		require.Contains(t, got.oneLine(t), "check that Kafka runs at "+brokers)
	}
}
