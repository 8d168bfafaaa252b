package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	// answerTime bounds the wait for one answer.
	answerTime = 60 * time.Second
	// idleTime is the longest silence after which a connection is used again. Servers close silent connections,
	// and a request could meet that close on its way.
	idleTime = 2 * time.Second
)

// Conn is one connection that stays open between requests. It writes requests itself, because the client of
// net/http costs more than the handlers that the benchmark measures. A Conn is used by one goroutine.
type Conn struct {
	address string
	first   string // method and path, the beginning of each request
	net     net.Conn
	in      *bufio.Reader
	out     []byte
	body    bytes.Buffer // of the last answer
	used    time.Time
	stop    func() bool
}

// Dial connects to host:port. first is the method and the path of each request, such as "POST /orders". The end
// of ctx interrupts a Send that is waiting.
func Dial(ctx context.Context, address, first string) (*Conn, error) {
	c := &Conn{address: address, first: first}
	return c, c.open(ctx)
}

// open connects, also again after a silence. The reader is new, so that no byte of an old answer remains.
func (c *Conn) open(ctx context.Context) error {
	var d net.Dialer
	opened, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.address, err)
	}
	c.net, c.in, c.used = opened, bufio.NewReader(opened), time.Now()
	// A deadline in the past wakes a read or write that is waiting.
	c.stop = context.AfterFunc(ctx, func() { _ = opened.SetDeadline(time.Unix(1, 0)) })
	return nil
}

// Close closes the connection. It may be called on a Conn that never connected.
func (c *Conn) Close() {
	if c.stop != nil {
		c.stop()
		_ = c.net.Close()
	}
}

// Send sends one request with a JSON body and returns the status of the answer. ctx must be the one given to
// Dial: when it ends, Send returns its cause. After another error the connection is unusable; a caller that
// continues must cause a new one.
func (c *Conn) Send(ctx context.Context, body []byte) (status int, err error) {
	if time.Since(c.used) > idleTime {
		c.Close()
		if err := c.open(ctx); err != nil {
			return 0, err
		}
	}
	c.out = append(c.out[:0], c.first+" HTTP/1.1\r\nHost: "+c.address+"\r\nContent-Type: application/json\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(append(c.out, "\r\n\r\n"...), body...)
	err = c.net.SetDeadline(time.Now().Add(answerTime))
	if ctx.Err() != nil { // the line above may have replaced the deadline that the end of ctx has set
		return 0, context.Cause(ctx)
	}
	if err == nil {
		_, err = c.net.Write(c.out)
	}
	if err == nil {
		status, err = c.receive()
	}
	c.used = time.Now()
	switch {
	case err != nil && ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case err != nil:
		return 0, fmt.Errorf("%s: %w", c.first, err)
	}
	return status, nil
}

// receive reads an answer to its end, so that the connection is ready for the next request.
func (c *Conn) receive() (status int, err error) {
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err
	}
	c.body.Reset()
	_, err = c.body.ReadFrom(answer.Body)
	return answer.StatusCode, err
}
