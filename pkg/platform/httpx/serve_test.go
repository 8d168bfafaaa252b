package httpx

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 30 * time.Second

// served is a server that runs.
type served struct {
	t     *testing.T
	addr  string
	stop  context.CancelFunc
	ended <-chan error
	crowd *crowd
	log   *bytes.Buffer // to be read after the server has ended
}

// start serves handler with limits that nobody meets, unless change lowers them.
func start(t *testing.T, handler http.Handler, change func(*limits)) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	within := limits{header: time.Hour, request: time.Hour, answer: time.Hour, idle: time.Hour, leftover: time.Hour,
		stop: patience, streams: time.Hour, maxBytes: 4 << 10}
	if change != nil {
		change(&within)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	log := &bytes.Buffer{}
	s := &served{t, l.Addr().String(), cancel, ended, newCrowd(within, Public, slog.New(slog.NewJSONHandler(log, nil))), log}
	go func() { ended <- serve(ctx, l, handler, s.crowd, within) }()
	t.Cleanup(cancel)
	return s
}

// result stops the server, when it has not stopped yet, and returns its error.
func (s *served) result() error {
	s.t.Helper()
	s.stop()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(patience):
		require.FailNow(s.t, "the server did not stop")
		return nil
	}
}

// dial connects and sends what is given, and nothing more. A server that has had enough may not take it all.
func (s *served) dial(request string) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(s.t, conn.SetDeadline(time.Now().Add(patience)))
	_, _ = io.WriteString(conn, request)
	return conn
}

func (s *served) answer(conn net.Conn) *http.Response {
	s.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(s.t, err)
	return resp
}

// closed waits until the server closes the connection.
func (s *served) closed(conn net.Conn) {
	s.t.Helper()
	_, err := io.Copy(io.Discard, conn)
	require.NotErrorIs(s.t, err, os.ErrDeadlineExceeded, "the connection is still open")
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func unreached(t *testing.T) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the request came through") })
}

func TestAHeaderThatDoesNotEndIsCutOff(t *testing.T) {
	t.Parallel()
	s := start(t, unreached(t), func(l *limits) { l.header = 20 * time.Millisecond })
	s.closed(s.dial("GET / HTTP/1.1\r\nHost: a\r\n"))
	require.NoError(t, s.result())
}

func TestABodyThatDoesNotEndIsCutOff(t *testing.T) {
	t.Parallel()
	s := start(t, strict(unreached(t)), func(l *limits) { l.request = 300 * time.Millisecond })
	conn := s.dial("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
	problemOf(t, s.answer(conn), http.StatusRequestTimeout)
	s.closed(conn)
	require.NoError(t, s.result())
}

func TestAnAnswerThatNobodyTakesIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		given := make(chan error)
		s := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if stream {
				require.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
			}
			var err error
			for err == nil {
				_, err = w.Write(make([]byte, 64<<10))
			}
			given <- err
		}), func(l *limits) {
			if !stream {
				l.answer = 20 * time.Millisecond
			}
		})
		s.dial(get)
		select {
		case err := <-given:
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		case <-time.After(patience):
			require.FailNow(t, "the handler still writes")
		}
		require.NoError(t, s.result())
	}
}

func TestAHeaderThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, unreached(t), nil)
	conn := s.dial("GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 16<<10) + "\r\n\r\n")
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, s.answer(conn).StatusCode)
	require.NoError(t, s.result())
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	s := start(t, http.NotFoundHandler(), func(l *limits) { l.idle = 20 * time.Millisecond })
	s.closed(s.dial(get))
	require.NoError(t, s.result())
}

func TestABodyThatIsTooLargeIsRefusedWhileItIsStillSent(t *testing.T) {
	t.Parallel()
	s := start(t, strict(unreached(t)), nil)
	conn := s.dial("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n" + strings.Repeat(" ", 100<<10))
	problemOf(t, s.answer(conn), http.StatusRequestEntityTooLarge)
	s.closed(conn)
	require.NoError(t, s.result())
}

func TestStoppingWaitsForRequestsInWork(t *testing.T) {
	t.Parallel()
	began, finish := make(chan context.Context), make(chan struct{})
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began <- r.Context()
		<-finish
		_, _ = io.WriteString(w, "done")
	}), nil)
	conn := s.dial(get)
	request := <-began
	s.stop()
	require.Eventually(t, func() bool { // nobody new is let in
		late, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = late.Close()
		}
		return err != nil
	}, patience, time.Millisecond)
	require.Empty(t, s.ended)
	require.NoError(t, request.Err(), "it is not told to hurry")
	close(finish)
	body, err := io.ReadAll(s.answer(conn).Body)
	require.NoError(t, err)
	require.Equal(t, "done", string(body))
	require.NoError(t, s.result())
}

func TestStoppingEndsThoseWhoOnlyWaitForNews(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		_, _ = io.WriteString(w, "so far")
	}), func(l *limits) { l.streams = time.Millisecond })
	conn := s.dial(get)
	<-began
	require.NoError(t, s.result())
	body, err := io.ReadAll(s.answer(conn).Body)
	require.NoError(t, err)
	require.Equal(t, "so far", string(body))
}

func TestStoppingIsBounded(t *testing.T) {
	t.Parallel()
	began, finish := make(chan struct{}), make(chan struct{})
	s := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(began); <-finish }),
		func(l *limits) { l.stop = 20 * time.Millisecond })
	conn := s.dial(get)
	<-began
	require.ErrorIs(t, s.result(), context.DeadlineExceeded)
	s.closed(conn)
	close(finish)
}

func TestAListenerThatEndsIsAFailure(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, Server{Handler: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler)}.Serve(t.Context(), l), net.ErrClosed)
}

func TestAPanicIsLoggedWithItsStack(t *testing.T) {
	t.Parallel()
	s := start(t, setup(t).handler, nil)
	problemOf(t, s.answer(s.dial("GET /panics?user=anna HTTP/1.1\r\nHost: a\r\n\r\n")), http.StatusInternalServerError)
	require.NoError(t, s.result())
	require.Contains(t, s.log.String(), `"level":"ERROR","msg":"panic in GET /panics: secret\ngoroutine `)
	require.Contains(t, s.log.String(), "setup_test.go:")
	require.NotContains(t, s.log.String(), "anna")
}

func TestTheStandardLimitsFitTogether(t *testing.T) {
	t.Parallel()
	l := standardLimits()
	require.Less(t, l.request, l.stop, "who sends slowly would spoil a graceful stop")
	require.Less(t, l.streams, l.stop)
	require.LessOrEqual(t, l.header, l.request)
	require.Greater(t, l.answer, 40*time.Second, "a client may ask to wait for 30 s")
	require.Less(t, l.stop, 10*time.Second, "what starts containers gives them ten seconds, or little more")
}
