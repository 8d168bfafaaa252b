package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// setup returns a client of one server that is all three services.
func setup(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	at := Endpoints{}
	for _, name := range messages.Services() {
		at[name] = Endpoint{Public: server.URL, Admin: server.URL + "/"}
	}
	c := New(at)
	t.Cleanup(func() {
		c.Close()
		server.Close()
	})
	return c
}

func TestAServiceThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	c := setup(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) })
	c.answerTime = 50 * time.Millisecond
	_, err := c.Order(t.Context(), "o-1", 0)
	var unreachable *UnreachableError
	require.ErrorAs(t, err, &unreachable)
	require.Equal(t, Orders, unreachable.Service)
	require.ErrorContains(t, err, "no answer in time")
}

func TestAProblemNamesServiceStatusAndFields(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"title":"Bad","detail":"not so","status":400}`:                                         "payments answered 400: not so",
		`{"title":"Bad","status":400}`:                                                           "payments answered 400: Bad",
		`{"title":"Bad","detail":"no","errors":[{"message":"too big","location":"body.total"}]}`: "payments answered 400: no (body.total: too big)",
		`{"title":"Bad","detail":"two\nlines"}`:                                                  "payments answered 400: two lines",
		`<html>proxy</html>`:                                                                     "payments answered 400: Bad Request",
	} {
		c := setup(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprint(w, body)
		})
		_, err := c.Payment(t.Context(), "o-1")
		require.EqualError(t, err, want)
		require.Equal(t, http.StatusBadRequest, StatusOf(err))
	}
	require.Zero(t, StatusOf(fmt.Errorf("other")))
}

func TestListsAreReadToTheLastPage(t *testing.T) {
	t.Parallel()
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("cursor") {
		case "":
			_, _ = fmt.Fprint(w, `{"items":[{"id":1},{"id":2}],"next_cursor":"2"}`)
		case "2":
			_, _ = fmt.Fprint(w, `{"items":[{"id":3}]}`)
		}
	})
	all, err := c.DeadLetters(t.Context(), Orders, LetterAll, 0)
	require.NoError(t, err)
	require.Len(t, all, 3)
	some, err := c.DeadLetters(t.Context(), Orders, LetterAll, 1)
	require.NoError(t, err)
	require.Len(t, some, 1)
}

func TestIDsAreEscapedInPaths(t *testing.T) {
	t.Parallel()
	paths := make(chan string, 1)
	c := setup(t, func(w http.ResponseWriter, r *http.Request) { paths <- r.RequestURI; _, _ = fmt.Fprint(w, `{}`) })
	_, err := c.Order(t.Context(), "a/b?c#d e", time.Second)
	require.NoError(t, err)
	require.Equal(t, "/orders/a%2Fb%3Fc%23d%20e?wait=1s", <-paths)
}

func TestAnAnswerThatIsNoJSONIsAnError(t *testing.T) {
	t.Parallel()
	c := setup(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, `<html>`) })
	_, err := c.Stock(t.Context(), "x")
	require.ErrorContains(t, err, "orders answered GET /inventory/x with something that is not its JSON")
}
