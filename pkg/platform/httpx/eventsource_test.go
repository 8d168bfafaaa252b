package httpx

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An EventSource never asks again after 503. In a crowd it hears an empty stream that says when to come back, and others
// who ask for events among other types hear 503 as before.
func TestACrowdTellsAnEventSourceToComeBack(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := start(t, h, crowded(capacity{requests: 1, patience: time.Hour}))
	first := s.dial(get)
	<-h.began
	ask := func(header string) *http.Response {
		return s.answer(s.dial("GET / HTTP/1.1\r\nHost: a\r\n" + header + "\r\n"))
	}
	resp := ask("Accept: text/event-stream\r\n")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var milliseconds int
	_, err = fmt.Sscanf(string(body), "retry: %d\n\n", &milliseconds)
	require.NoError(t, err, "%s", body)
	require.GreaterOrEqual(t, milliseconds, 1000)
	requireRefused(t, ask("Accept: application/json, text/event-stream\r\n"))
	requireRefused(t, ask(""))
	h.letGo()
	require.Equal(t, http.StatusOK, s.answer(first).StatusCode)
	require.NoError(t, s.result())
}

// A refusal before net/http is 503 for everybody, so an EventSource's request goes on to net/http.
func TestAnEventSourceIsNotRefusedBeforeNetHTTP(t *testing.T) {
	t.Parallel()
	for header, plain := range map[string]bool{"accept: text/event-stream": false, "Accept: text/html": true, "Accept: */*": true} {
		h, ok := parseHead([]byte("GET / HTTP/1.1\r\nHost: a\r\n" + header + "\r\n\r\n"))
		require.True(t, ok, header)
		require.Equal(t, plain, h.plain, header)
	}
}
