// Package load places orders over HTTP: as many as go (closed loop), or so many a second whatever comes of them (open
// loop). It is the same for every arm, and spends as little as it can, because it shares the processors with them.
package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// answerTime is how long an answer may take.
const answerTime = 60 * time.Second

// idleTime is how long a connection may have been silent to be used again: servers close those that are silent for long,
// and a request may meet that on its way.
const idleTime = 2 * time.Second

// conn is one connection that is kept open. net/http's client would cost more than the handlers that are measured.
type conn struct {
	address string
	first   string // of a request's first line: method and path
	net     net.Conn
	in      *bufio.Reader
	out     []byte
	body    []byte // of the last answer
	used    time.Time
	stop    func() bool
}

func dial(ctx context.Context, address, first string) (*conn, error) {
	c := &conn{address: address, first: first}
	return c, c.open(ctx)
}

func (c *conn) open(ctx context.Context) error {
	var d net.Dialer
	opened, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.address, err)
	}
	c.net, c.in, c.used = opened, bufio.NewReader(opened), time.Now()
	c.stop = context.AfterFunc(ctx, func() { _ = opened.SetDeadline(time.Unix(1, 0)) })
	return nil
}

func (c *conn) close() {
	c.stop()
	_ = c.net.Close()
}

// post sends one request and returns the status of its answer.
func (c *conn) post(ctx context.Context, body []byte) (status int, err error) {
	if time.Since(c.used) > idleTime {
		c.close()
		if err := c.open(ctx); err != nil {
			return 0, err
		}
	}
	c.out = c.out[:0]
	c.out = append(c.out, c.first+" HTTP/1.1\r\nHost: "+c.address+"\r\nContent-Type: application/json\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, body...)
	if err := c.net.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return 0, fmt.Errorf("post: %w", err)
	}
	if ctx.Err() != nil { // the line above may have undone what ctx's end did
		return 0, context.Cause(ctx)
	}
	if _, err := c.net.Write(c.out); err != nil {
		return 0, fmt.Errorf("post: %w", err)
	}
	status, err = c.readAnswer()
	c.used = time.Now()
	if err != nil && ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return status, err
}

// readAnswer reads an HTTP/1.1 answer to its end. It keeps the beginning of a body that has a Content-Length.
func (c *conn) readAnswer() (status int, err error) {
	in := c.in
	c.body = c.body[:0]
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, fmt.Errorf("read answer: %w", err)
	}
	fields := bytes.Fields(line)
	if len(fields) < 2 || !bytes.HasPrefix(fields[0], []byte("HTTP/1.")) {
		return 0, fmt.Errorf("read answer: %q is not HTTP", line)
	}
	if status, err = strconv.Atoi(string(fields[1])); err != nil {
		return 0, fmt.Errorf("read answer: %q has no status", line)
	}
	length, chunked := 0, false
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, fmt.Errorf("read answer: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, fmt.Errorf("read answer: Content-Length %q", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
	if chunked {
		return status, skipChunks(in)
	}
	begin, err := in.Peek(min(length, in.Size()))
	c.body = append(c.body, begin...)
	if err == nil {
		_, err = in.Discard(length)
	}
	if err != nil {
		return 0, fmt.Errorf("read answer: %w", err)
	}
	return status, nil
}

func skipChunks(in *bufio.Reader) error {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil || size < 0 {
			return fmt.Errorf("read answer: %q is no chunk", line)
		}
		if _, err := io.CopyN(io.Discard, in, size+2); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if size == 0 {
			return nil
		}
	}
}
