package kafka

import (
	"context"
	"net"
	"sync"
	"time"
)

// lines opens connections that end with ctx. Sarama's calls take no context, and a broker that hangs accepts connections and
// answers nothing. Closing the connection is the only way to end a call before sarama's own time-outs, which take minutes.
type lines struct{ ctx context.Context }

const dialTimeout = 5 * time.Second

func (l lines) Dial(network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(l.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &line{Conn: conn}
	c.release = context.AfterFunc(l.ctx, func() { _ = conn.Close() })
	return c, nil
}

// again is the pause before a retry: none once the connections are closed, because then every retry fails.
func (l lines) again(pause time.Duration) func(int, int) time.Duration {
	return func(int, int) time.Duration {
		if l.ctx.Err() != nil {
			return 0
		}
		return pause
	}
}

type line struct {
	net.Conn
	once    sync.Once
	release func() bool
}

func (l *line) Close() error {
	l.once.Do(func() { l.release() })
	return l.Conn.Close()
}

// untilCut is a pause between tries that ends with ctx: see lines.again.
func UntilCut(ctx context.Context, pause time.Duration) func(int, int) time.Duration {
	return lines{ctx}.again(pause)
}
