package httpx

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refusing is a server that refuses every POST to /. The handler counts what net/http hands to it.
func refusing(t *testing.T, busy *atomic.Bool) (s *served, reached *atomic.Int64) {
	t.Helper()
	reached = &atomic.Int64{}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	})
	return start(t, h, func(l *limits) {
		l.early = &Early{Method: http.MethodPost, Path: "/", Busy: func() (time.Duration, bool) { return 3 * time.Second, busy.Load() }}
	}), reached
}

// exchange sends a request in the given pieces, each once the one before has been taken up, and returns the answer.
func (s *served) exchange(conn net.Conn, in *bufio.Reader, pieces ...string) (*http.Response, string) {
	s.t.Helper()
	for _, piece := range pieces {
		_, err := io.WriteString(conn, piece)
		require.NoError(s.t, err)
	}
	resp, err := http.ReadResponse(in, nil)
	require.NoError(s.t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp, string(body)
}

func TestARefusalIsAnsweredWithoutNetHTTP(t *testing.T) {
	t.Parallel()
	var busy atomic.Bool
	s, reached := refusing(t, &busy)
	conn := s.dial("")
	in := bufio.NewReader(conn)
	resp, _ := s.exchange(conn, in, post+"{}")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	s.idle(conn)
	busy.Store(true)
	for range 3 {
		resp, body := s.exchange(conn, in, post+"{}")
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		require.NoError(t, err)
		require.GreaterOrEqual(t, seconds, 3)
		require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
		require.Contains(t, body, tooBusy)
		_, err = http.ParseTime(resp.Header.Get("Date"))
		require.NoError(t, err)
	}
	resp, body := s.exchange(conn, in, get) // only what is named is refused
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "GET /", body)
	busy.Store(false)
	resp, _ = s.exchange(conn, in, post+"{}")
	require.Equal(t, http.StatusOK, resp.StatusCode, "the connection goes on")
	require.EqualValues(t, 3, reached.Load())
	require.NoError(t, conn.Close())
	require.NoError(t, s.result())
}

// The body of a refused request may come later, with the next request behind it.
func TestTheBodyOfARefusedRequestIsNoRequest(t *testing.T) {
	t.Parallel()
	var busy atomic.Bool
	s, _ := refusing(t, &busy)
	conn := s.dial("")
	in := bufio.NewReader(conn)
	s.exchange(conn, in, get)
	s.idle(conn)
	busy.Store(true)
	hidden := strings.Replace(get, "GET /", "GET /hidden", 1)
	resp, _ := s.exchange(conn, in, strings.Replace(post, "Length: 2", fmt.Sprintf("Length: %d", len(hidden)), 1))
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	_, body := s.exchange(conn, in, hidden+get)
	require.Equal(t, "GET /", body)
	require.NoError(t, conn.Close())
	require.NoError(t, s.result())
}

// However requests are written and cut into pieces, each gets one answer, in their order, with the same status as when
// net/http alone answers them.
func TestRefusalsAndAnswersStayInTheirOrder(t *testing.T) {
	t.Parallel()
	var busy atomic.Bool
	busy.Store(true)
	s, _ := refusing(t, &busy)
	whole := post + "{}"
	for name, stream := range map[string]string{
		"one after the other":     whole + get + whole + whole + get,
		"chunked":                 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + get,
		"lines without CR":        strings.ReplaceAll(get, "\r\n", "\n") + get + get,
		"a body that looks new":   strings.Replace(post, "Length: 2", fmt.Sprintf("Length: %d", len(get)), 1) + get + get,
		"two equal lengths":       strings.Replace(whole, "Content-Length: 2", "Content-Length: 2\r\nContent-Length: 2", 1) + get,
		"a line of no field":      strings.Replace(get, "Host: a", "Host: a\r\n x", 1) + get,
		"a length with a sign":    strings.Replace(get, "Host: a", "Host: a\r\nContent-Length: +0", 1),
		"the older version":       strings.Replace(get, "1.1", "1.0\r\nConnection: keep-alive", 1) + get,
		"asking for no body":      strings.Replace(get, "GET", "HEAD", 1) + get,
		"empty lines in between":  whole + "\r\n" + get,
		"a CR inside of a line":   strings.Replace(whole, "Host: a", "Host: a\r\nX-A: a\rb", 1),
		"a line that ends twice":  strings.Replace(whole, "Host: a", "Host: a\r", 1),
		"a NUL":                   strings.Replace(whole, "Host: a", "Host: a\r\nX-A: \x00", 1),
		"an escape":               strings.Replace(whole, "Host: a", "Host: a\r\nX-A: \x1b[0m", 1),
		"a DEL":                   strings.Replace(whole, "Host: a", "Host: a\r\nX-A: \x7f", 1),
		"a tab in a value":        strings.Replace(whole, "Host: a", "Host: a\r\nX-A: \ta\tb", 1),
		"a CR in the target":      strings.Replace(whole, "POST /", "POST /?\r", 1),
		"a tab in the target":     strings.Replace(whole, "POST /", "POST /?\t", 1),
		"a DEL in the target":     strings.Replace(whole, "POST /", "POST /?\x7f", 1),
		"a method that is none":   strings.Replace(whole, "POST", "\x01POST", 1),
		"a % that says nothing":   strings.Replace(whole, "POST /", "POST /%zz", 1),
		"a target that is none":   strings.Replace(whole, "POST /", "POST x", 1),
		"no Host":                 strings.Replace(whole, "Host: a\r\n", "", 1),
		"two Hosts":               strings.Replace(whole, "Host: a", "Host: a\r\nHost: a", 1),
		"two Hosts that differ":   strings.Replace(whole, "Host: a", "Host: a\r\nhost: b", 1),
		"a Host that is none":     strings.Replace(whole, "Host: a", "Host: a b", 1),
		"an empty Host":           strings.Replace(whole, "Host: a", "Host:", 1),
		"a request to be the end": strings.Replace(get, "Host: a", "Host: a\r\nConnection: close", 1),
	} {
		for _, size := range []int{1, 7, 40, 1 << 20} {
			wanted := s.conversation(t, []byte(stream), len(stream), true)
			got := s.conversation(t, []byte(stream), size, false)
			assert.Equal(t, wanted, got, "%s, in pieces of %d", name, size)
		}
	}
	require.NoError(t, s.result())
}

// conversation sends the stream in pieces over one connection and returns the statuses of the answers, until the server
// closes the connection. A connection whose first bytes are of the stream is answered by net/http alone.
func (s *served) conversation(t *testing.T, stream []byte, size int, fresh bool) (statuses []int) {
	t.Helper()
	conn := s.dial("")
	in := bufio.NewReader(conn)
	if !fresh {
		s.exchange(conn, in, get)
		s.idle(conn)
	}
	go func() {
		for piece := range slices.Chunk(stream, size) {
			_, _ = conn.Write(piece)
		}
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	method := http.MethodPost
	if bytes.HasPrefix(stream, []byte(http.MethodHead)) {
		method = http.MethodHead
	}
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return statuses
		}
		method = http.MethodPost
		_, _ = io.Copy(io.Discard, resp.Body)
		statuses = append(statuses, resp.StatusCode)
	}
}

// idle waits until net/http waits for the connection's next request, which it begins to a little after its answer.
func (s *served) idle(conn net.Conn) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		s.crowd.mu.Lock()
		defer s.crowd.mu.Unlock()
		for one := s.crowd.idle.first; one != nil; one = one.next {
			if one.RemoteAddr().String() == conn.LocalAddr().String() {
				return true
			}
		}
		return false
	}, patience, time.Millisecond)
}

func BenchmarkRefusal(b *testing.B) {
	for _, early := range []bool{true, false} {
		b.Run(fmt.Sprintf("early=%v", early), func(b *testing.B) {
			c := newCrowd(limits{early: &Early{Method: http.MethodPost, Path: "/", Busy: func() (time.Duration, bool) { return time.Second, true }}}, Public, slog.New(slog.DiscardHandler))
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			server := &http.Server{Handler: c.admit(http.NotFoundHandler()), ConnState: c.state}
			server.ConnContext = withConnection
			go func() { _ = server.Serve(&door{Listener: l, crowd: c, closed: make(chan struct{})}) }()
			defer server.Close()
			conn, err := net.Dial("tcp", l.Addr().String())
			require.NoError(b, err)
			request := post + "{}"
			if !early { // which is not plain
				request = strings.Replace(request, "Host: a", "Host: a\r\nConnection: keep-alive", 1)
			}
			answer := make([]byte, 4096)
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				if _, err := io.WriteString(conn, request); err != nil {
					b.Fatal(err)
				}
				for n := 0; n == 0 || answer[n-1] != '\n'; {
					m, err := conn.Read(answer[n:])
					if err != nil {
						b.Fatal(err)
					}
					n += m
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op") // of the client too
		})
	}
}

// processorTime returns what the process has used of the processors.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// scripted is a connection that hands out one piece a time and remembers how long the next one may take.
type scripted struct {
	net.Conn
	pieces []string
	may    time.Duration
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	s.pieces = s.pieces[1:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error)       { return len(p), nil }
func (s *scripted) SetWriteDeadline(time.Time) error  { return nil }
func (s *scripted) SetReadDeadline(t time.Time) error { s.may = time.Until(t); return nil }

// A proxy keeps a connection as long as it was told. A refusal makes the pause that is allowed after it no shorter.
func TestAConnectionMayBeIdleAfterARefusalAsLongAsEver(t *testing.T) {
	t.Parallel()
	for name, pieces := range map[string][]string{
		"whole":                     {post + "{}"},
		"body by itself":            {post, "{}"},
		"body in pieces":            {post, "{", "}"},
		"refused just before":       {post + "{}", post, "{}"},
		"refused again":             {post, "{}", post + "{}"},
		"net/http takes what comes": {post, "{}" + get},
	} {
		c := newCrowd(limits{idle: time.Hour, early: &Early{Method: http.MethodPost, Path: "/", Busy: func() (time.Duration, bool) { return time.Second, true }}},
			Public, slog.New(slog.DiscardHandler))
		conn := &scripted{}
		one := c.arrive(conn)
		c.stand(one, &c.idle)
		for i := range pieces {
			conn.pieces = pieces[i : i+1 : i+1]
			_, _ = one.Read(make([]byte, 4096))
			if strings.HasSuffix(pieces[i], "\r\n\r\n") && strings.HasPrefix(pieces[i], "POST") {
				require.InDelta(t, sendWithin.Seconds(), conn.may.Seconds(), 10, "%s: while a body is on its way", name)
			}
		}
		require.InDelta(t, time.Hour.Seconds(), conn.may.Seconds(), 10, name)
	}
}
