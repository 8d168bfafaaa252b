package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/httpapi"
)

// An EventSource (HTML standard, 9.2.3) asks again after a stream that ended, and never again after any status but 200. So
// a server whose database is away opens the stream, and tells the events when the database is back.
func TestAStreamThatIsAskedForWhileTheDatabaseIsAwayTellsItsEventsOnceItIsBack(t *testing.T) {
	t.Parallel()
	server := testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), server.AdminURL))
	s := over(t, server.Pool(t, "orders"), httpapi.SetHeartbeat(100*time.Millisecond))
	s.place(t)
	deliver(t, s.OnOrderPlaced, placed())
	server.Stop()

	began := time.Now()
	first, again := s.follow(t, ""), s.follow(t, "1") // each expects 200
	require.Less(t, time.Since(began), 20*time.Second, "each may take 1.5 s")
	for _, f := range []*follower{first, again} {
		require.Equal(t, ": still here", f.next(t))
		require.Equal(t, ": still here", f.next(t), "and it goes on")
	}
	requireProblem(t, s.do(t, "GET", "/orders/o/events", ""), 503, "database") // those who ask for JSON come back by themselves

	server.Start()
	require.Equal(t, "1 pending", first.event(t))
	require.Equal(t, "2 awaiting_payment", first.event(t))
	require.Equal(t, "2 awaiting_payment", again.event(t), "on after the last event seen")
	deliver(t, s.OnPaymentCaptured, captured())
	for _, f := range []*follower{first, again} {
		require.Equal(t, "3 confirmed", f.event(t))
		require.Empty(t, f.event(t), "the order is settled")
	}

	// A stream of what cannot be followed is opened, too, and ends when the database is back: asked again, the server says why.
	server.Stop()
	settled, unborn, nobody, another := s.follow(t, "3"), s.follow(t, "9"), s.followed(t, "nobody", ""), s.followed(t, "o", "", by("bob")...)
	for _, f := range []*follower{settled, unborn, nobody, another} {
		require.Equal(t, ": still here", f.next(t))
	}
	requireProblem(t, s.do(t, "GET", "/orders/o/events", "", "Accept", "text/event-stream", "Last-Event-ID", "x"), 400, "header.Last-Event-ID")
	server.Start()
	for _, f := range []*follower{settled, unborn, nobody, another} {
		require.Empty(t, f.event(t))
	}
	require.Equal(t, 204, s.do(t, "GET", "/orders/o/events", "", "Accept", "text/event-stream", "Last-Event-ID", "3").status)
	requireProblem(t, s.do(t, "GET", "/orders/o/events", "", "Accept", "text/event-stream", "Last-Event-ID", "9"), 400, "header.Last-Event-ID")
	requireProblem(t, s.do(t, "GET", "/orders/nobody/events", "", "Accept", "text/event-stream"), 404, "")
}

// A stream that is waiting for the database ends with its client, and with the server.
func TestAStreamThatWaitsForTheDatabaseIsFreedWhenItsClientLeaves(t *testing.T) {
	t.Parallel()
	s := over(t, pool(t, "postgres://orders:orders@127.0.0.1:1/none"), httpapi.SetHeartbeat(time.Hour))
	f := s.follow(t, "")
	require.Equal(t, ": still here", f.next(t))
	f.leave()
	s.idle(t)
	f = s.follow(t, "")
	require.Equal(t, ": still here", f.next(t))
	s.stop()
	require.Empty(t, f.event(t))
}

func TestAStreamWithoutRoomEndsAndSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	s := over(t, testkit.Database(t, migrations.Up).Pool(t, "orders"), httpapi.NoRoom)
	s.place(t)
	a := s.do(t, "GET", "/orders/o/events", "", "Accept", "text/event-stream")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "text/event-stream", a.header.Get("Content-Type"))
	require.Equal(t, "retry: 2000\n\n", a.body)
}
