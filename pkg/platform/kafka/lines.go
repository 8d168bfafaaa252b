package kafka

import (
	"context"
	"net"
	"sync"
	"time"
)

// lines opens connections that end with ctx. Sarama's calls take no context, and a broker that hangs accepts connections and
// answers nothing. Closing the connection is the only way to end a call before sarama's own time-outs, which take minutes.
// The struct keeps a context for that reason alone: sarama passes none to its dialer. Safe for concurrent use.
type lines struct{ ctx context.Context }

// dialTimeout bounds one connect, with its TLS handshake where the library makes both. Then the next address gets its turn.
// A broker whose queue of connections is full drops the connect, and the kernel repeats it after 1, 3, 7 and 15 s. A new
// connect after 5 s is therefore taken sooner than one that waits on. Sarama's own Net.DialTimeout has no effect on a
// dialer that it did not make.
const dialTimeout = 5 * time.Second

// Dial implements sarama's proxy.Dialer. Sarama adds TLS on top, so closing the TCP connection ends that too.
func (l lines) Dial(network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(l.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &line{Conn: conn}
	c.release = context.AfterFunc(l.ctx, func() { _ = conn.Close() })
	return c, nil
}

// again returns the pause before a retry: none once ctx has ended. Every retry then fails at once, so the retries that are
// left run through without delay, and the call ends.
func (l lines) again(pause time.Duration) func(int, int) time.Duration {
	return func(int, int) time.Duration {
		if l.ctx.Err() != nil {
			return 0
		}
		return pause
	}
}

// line is one connection of lines. Closing it also drops the registration with the context: sarama reconnects for as long as
// the process lives, and each registration would stay until then.
type line struct {
	net.Conn
	once    sync.Once
	release func() bool
}

func (l *line) Close() error {
	l.once.Do(func() { l.release() })
	return l.Conn.Close()
}

// UntilCut returns a backoff function for sarama: pause before each retry, and no pause once ctx has ended.
func UntilCut(ctx context.Context, pause time.Duration) func(int, int) time.Duration {
	return lines{ctx}.again(pause)
}
