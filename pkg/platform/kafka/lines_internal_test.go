package kafka

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A line is watched until it is closed, and no longer: the context outlives a thousand connections.
func TestALineIsCutWithItsContextAndForgottenWhenItIsClosed(t *testing.T) {
	t.Parallel()
	addr := hung(t)
	ctx, cut := context.WithCancel(t.Context())
	conn, err := lines{ctx}.Dial("tcp", addr)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	}()
	require.Equal(t, 250*time.Millisecond, lines{ctx}.again(250*time.Millisecond)(1, 9))
	cut()
	require.ErrorIs(t, answered(t, ended, time.Minute, "the line is not cut"), net.ErrClosed)
	require.Zero(t, lines{ctx}.again(250*time.Millisecond)(1, 9), "without lines there is nothing to wait for")
	_, err = lines{ctx}.Dial("tcp", addr)
	require.ErrorIs(t, err, context.Canceled)

	conn, err = lines{t.Context()}.Dial("tcp", addr)
	require.NoError(t, err)
	released := 0
	conn.(*line).release = func() bool { released++; return true }
	require.NoError(t, conn.Close())
	require.ErrorIs(t, conn.Close(), net.ErrClosed)
	require.Equal(t, 1, released)
}

// hung returns the address of a broker that accepts connections and never answers.
func hung(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func answered[T any](t *testing.T, ch <-chan T, within time.Duration, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(within):
		require.FailNow(t, what)
		panic("unreachable")
	}
}
