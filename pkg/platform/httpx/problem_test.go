package httpx

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryErrorIsAProblem(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Contains(t, problemOf(t, s.do("GET", "/nowhere", ""), 404), "/nowhere")
	require.Contains(t, problemOf(t, s.do("POST", "/things/7", `{"name":"a"}`), 404), "/things/7")
	require.Contains(t, problemOf(t, s.do("GET", "/away", ""), 503), "the thing is away")
	problemOf(t, s.do("GET", "/", ""), 404)
}

func TestAnotherMethodIsToldWhichAreAllowed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, method := range []string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
		resp := s.do(method, "/things", "")
		require.Equal(t, "POST", resp.Header.Get("Allow"), method)
		problemOf(t, resp, 405)
	}
	resp := s.do("POST", "/away", `{}`)
	require.Equal(t, "GET, HEAD", resp.Header.Get("Allow"))
	problemOf(t, resp, 405)
}

func TestAMissingDependencyIsToldWithWhenToComeBack(t *testing.T) {
	t.Parallel()
	resp := setup(t).do("GET", "/away", "")
	require.Equal(t, "7", resp.Header.Get("Retry-After"))
	problemOf(t, resp, 503)
}

func TestAPanicTellsTheClientNothing(t *testing.T) {
	t.Parallel()
	require.NotContains(t, problemOf(t, setup(t).do("GET", "/panics", ""), 500), "secret")
}

func TestAnErrorThatNobodyForesawTellsTheClientNothing(t *testing.T) {
	t.Parallel()
	require.NotContains(t, problemOf(t, setup(t).do("GET", "/broken", ""), 500), "secret")
}

func TestAnAbortedAnswerIsNotTurnedIntoAWholeOne(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { s.do("GET", "/aborts", "") })
}

func TestAPathWithDoubledSlashesLeadsToTheRealOne(t *testing.T) {
	t.Parallel()
	resp := setup(t).do("GET", "//away", "")
	require.Contains(t, []int{301, 307, 308}, resp.StatusCode)
	require.Equal(t, "/away", resp.Header.Get("Location"))
	_, err := io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
}
