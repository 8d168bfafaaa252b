package httpapi_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/httpapi"
)

// there waits until an order is in the database.
func (s *site) there(t *testing.T, id string) {
	t.Helper()
	testkit.Eventually(t, func() error {
		_, err := s.Order(t.Context(), id)
		return err
	})
}

// settle pays the order "o".
func (s *site) settle(t *testing.T) {
	t.Helper()
	deliver(t, s.OnOrderPlaced, placed())
	deliver(t, s.OnPaymentCaptured, captured())
}

// open expects that a request stays without an answer for some time.
func open(t *testing.T, held <-chan *answer, d time.Duration) {
	t.Helper()
	select {
	case a := <-held:
		require.Fail(t, "answered before the order was settled", "%d %s", a.status, a.body)
	case <-time.After(d):
	}
}

func TestPlaceWaitsForTheOutcome(t *testing.T) {
	t.Parallel()
	s := setup(t)
	held := s.sent(t, "POST", "/orders?wait=30s", order)
	s.there(t, "o")
	s.settle(t)
	a := got(t, held)
	require.Equal(t, 200, a.status, a.body)
	require.Contains(t, a.body, `"status":"confirmed"`)
	require.Equal(t, `"3"`, a.header.Get("ETag"))
	require.Equal(t, "/orders/o", a.header.Get("Location"))
}

// A request that waits is one whose body came long ago: no time limit for bodies may end it.
func TestPlaceWaitsLongerThanABodyMayTakeToArrive(t *testing.T) {
	t.Parallel()
	s := setup(t)
	held := s.sent(t, "POST", "/orders?wait=30s", order)
	s.there(t, "o")
	open(t, held, 6*time.Second)
	s.settle(t)
	require.Equal(t, 200, got(t, held).status)
}

func TestPlaceAnswersAcceptedWhenTheWaitIsOver(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.do(t, "POST", "/orders?wait=50ms", order)
	require.Equal(t, 202, a.status, a.body)
	require.Contains(t, a.body, `"status":"pending"`)
}

func TestGetWaitsForTheOutcome(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.do(t, "POST", "/orders", order)
	require.Equal(t, 202, first.status, first.body)
	a := s.do(t, "GET", "/orders/o?wait=50ms", "")
	require.Equal(t, 200, a.status, "there is an order to show in any case")
	require.Contains(t, a.body, `"status":"pending"`)
	require.Equal(t, 304, s.do(t, "GET", "/orders/o?wait=50ms", "", "If-None-Match", a.header.Get("ETag")).status)

	held := s.sent(t, "GET", "/orders/o?wait=30s", "", "If-None-Match", a.header.Get("ETag"))
	open(t, held, 100*time.Millisecond)
	s.settle(t)
	a = got(t, held)
	require.Equal(t, 200, a.status, a.body)
	require.Contains(t, a.body, `"status":"confirmed"`)
	require.Equal(t, a.body, s.do(t, "GET", "/orders/o?wait=30s", "").body, "at once, since it is settled")
	requireProblem(t, s.do(t, "GET", "/orders/nobody?wait=30s", ""), 404, "")
}

func TestWaitIsADurationOfAtMostThirtySeconds(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{"": 0, "0": 0, "5": 5 * time.Second, "1.5s": 1500 * time.Millisecond,
		"30s": 30 * time.Second, "31s": 30 * time.Second, "31": 30 * time.Second, "1h": 30 * time.Second, "9999999999": 30 * time.Second} {
		d, err := httpapi.WaitFor(value)
		require.NoError(t, err, value)
		require.Equal(t, want, d, value)
	}
	s := setup(t)
	for _, bad := range []string{"soon", "-1", "-1s", "5x", "1e3", "%20", "99999999999999999999"} {
		requireProblem(t, s.do(t, "POST", "/orders?wait="+bad, order), 400, "query.wait")
		requireProblem(t, s.do(t, "GET", "/orders/o?wait="+bad, ""), 400, "query.wait")
	}
	requireProblem(t, s.do(t, "GET", "/orders/o", ""), 404, "")
}
