//go:build crowd

package crowd

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// flood sends rate orders a second for some time, over up to n connections. Refused and unanswered orders do not slow it
// down. One thread waits for all connections at once: a goroutine for each would use more processor time than the refusals
// that the test measures.
func flood(ctx context.Context, to target, n int, rate float64, d time.Duration) rush {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := &flooding{to: to, tally: tally{began: time.Now()}, socks: map[int32]*sock{}}
	if err := f.open(n); err != nil {
		f.tally.note(0, 0, err)
		return f.tally.done()
	}
	defer f.close()
	end := f.tally.began.Add(d)
	for sent := 0; ctx.Err() == nil; {
		now := time.Now()
		if now.After(end) {
			break
		}
		should := int(now.Sub(f.tally.began).Seconds() * rate)
		for ; sent < should && len(f.free) > 0; sent++ {
			f.send(sent)
		}
		f.tally.rush.unsent += should - sent
		sent = should
		f.revive(now)
		f.receive()
	}
	return f.tally.done()
}

// flooding is the state of one flood.
type flooding struct {
	to     target
	tally  tally
	epoll  int
	events [512]syscall.EpollEvent
	buffer [64 << 10]byte
	socks  map[int32]*sock
	free   []*sock // may send
	dead   []*sock // closed, to be connected again
	out    []byte
}

// sock is one connection.
type sock struct {
	fd         int
	address    syscall.SockaddrInet4
	head       []byte // of each request, up to the length of the body
	connecting bool
	busy       bool // waits for an answer
	sent       time.Time
	died       time.Time
	part       []byte // the beginning of an answer
}

func (f *flooding) open(n int) (err error) {
	if f.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("flood: %w", err)
	}
	tcp, err := net.ResolveTCPAddr("tcp4", f.to.address)
	if err != nil {
		return fmt.Errorf("flood %s: %w", f.to.address, err)
	}
	for range n {
		s := &sock{head: []byte("POST " + f.to.path + " HTTP/1.1\r\nHost: " + f.to.address + "\r\nContent-Type: application/json\r\nContent-Length: ")}
		s.address.Port = tcp.Port
		copy(s.address.Addr[:], tcp.IP.To4())
		f.connect(s)
	}
	return nil
}

func (f *flooding) close() {
	for _, s := range f.socks {
		_ = syscall.Close(s.fd)
	}
	_ = syscall.Close(f.epoll)
}

// connect begins to connect. A failed connection is tried again after a pause.
func (f *flooding) connect(s *sock) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		f.bury(s, err)
		return
	}
	s.fd, s.connecting, s.busy, s.part = fd, true, false, s.part[:0]
	f.socks[int32(fd)] = s
	err = syscall.Connect(fd, &s.address)
	if err == nil || err == syscall.EINPROGRESS {
		err = syscall.EpollCtl(f.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLOUT, Fd: int32(fd)})
	}
	if err != nil {
		f.bury(s, err)
	}
}

// bury closes a connection, for revive to open it again.
func (f *flooding) bury(s *sock, err error) {
	if s.busy || s.connecting {
		f.tally.note(0, 0, err)
	}
	if f.socks[int32(s.fd)] == s {
		delete(f.socks, int32(s.fd))
		_ = syscall.Close(s.fd)
	}
	s.died = time.Now()
	f.dead = append(f.dead, s)
}

func (f *flooding) revive(now time.Time) {
	for len(f.dead) > 0 && now.Sub(f.dead[0].died) > retryPause {
		s := f.dead[0]
		f.dead = f.dead[1:]
		f.connect(s)
	}
}

// send sends an order over the connection that has been free for the shortest time.
func (f *flooding) send(order int) {
	s := f.free[len(f.free)-1]
	f.free = f.free[:len(f.free)-1]
	body := f.to.body(order)
	f.out = append(f.out[:0], s.head...)
	f.out = strconv.AppendInt(f.out, int64(len(body)), 10)
	f.out = append(append(f.out, "\r\n\r\n"...), body...)
	s.busy, s.sent = true, time.Now()
	if n, err := syscall.Write(s.fd, f.out); err != nil || n < len(f.out) {
		f.bury(s, err)
	}
}

// receive reads the answers that have come, or waits a millisecond for one.
func (f *flooding) receive() {
	n, _ := syscall.EpollWait(f.epoll, f.events[:], 1)
	for _, event := range f.events[:max(n, 0)] {
		s := f.socks[event.Fd]
		switch {
		case s == nil:
		case s.connecting:
			f.connected(s)
		default:
			f.read(s)
		}
	}
}

func (f *flooding) connected(s *sock) {
	code, err := syscall.GetsockoptInt(s.fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err == nil && code != 0 {
		err = syscall.Errno(code)
	}
	if err == nil {
		err = syscall.EpollCtl(f.epoll, syscall.EPOLL_CTL_MOD, s.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(s.fd)})
	}
	if err != nil {
		f.bury(s, err)
		return
	}
	s.connecting = false
	f.free = append(f.free, s)
}

func (f *flooding) read(s *sock) {
	n, err := syscall.Read(s.fd, f.buffer[:])
	switch {
	case err == syscall.EAGAIN:
		return
	case err != nil || n == 0:
		f.lose(s)
		f.bury(s, fmt.Errorf("the connection was closed: %w", err))
		return
	}
	answer := f.buffer[:n]
	if len(s.part) > 0 {
		s.part = append(s.part, answer...)
		answer = s.part
	}
	status, whole := answered(answer)
	if !whole {
		if len(s.part) == 0 {
			s.part = append(s.part, answer...)
		}
		return
	}
	f.tally.note(status, time.Since(s.sent), nil)
	s.busy, s.part = false, s.part[:0]
	f.free = append(f.free, s)
}

// lose removes a closed connection from the free ones.
func (f *flooding) lose(s *sock) {
	for i, free := range f.free {
		if free == s {
			f.free = append(f.free[:i], f.free[i+1:]...)
			return
		}
	}
}

var (
	headerEnd     = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// answered returns the status of an answer with a Content-Length, once it is complete.
func answered(answer []byte) (status int, whole bool) {
	end := bytes.Index(answer, headerEnd)
	if end < 12 {
		return 0, false
	}
	status, _ = strconv.Atoi(string(answer[9:12]))
	length := 0
	if at := bytes.Index(answer[:end+2], contentLength); at >= 0 {
		text, _, _ := bytes.Cut(answer[at+len(contentLength):end+2], []byte("\r"))
		length, _ = strconv.Atoi(string(text))
	}
	return status, len(answer) >= end+len(headerEnd)+length && status >= http.StatusOK
}
