package httpapi_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/httpapi"
)

// requireUnavailable expects the answer of somebody whose database is away: 503, soon, with a time to come back.
func requireUnavailable(t *testing.T, a *answer, since time.Time, of string) {
	t.Helper()
	t.Logf("%s: %d after %s", of, a.status, time.Since(since))
	requireProblem(t, a, 503, "database")
	require.NotEmpty(t, a.header.Get("Retry-After"), of)
	require.Less(t, time.Since(since), 30*time.Second, of) // nobody's time-out but ours is as short
}

func pool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	p, err := pgdb.Open(pgdb.Config{URL: url, Schema: "orders"})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// hanging returns a site whose database can be made to hang, and one beside it whose database goes on.
func hanging(t *testing.T, change ...func(*httpapi.API)) (s, beside *site, p *testkit.Proxy) {
	t.Helper()
	db := testkit.Database(t, migrations.Up)
	p = testkit.NewProxy(t, db.AdminURL)
	through := pool(t, p.Through(db.URL("orders")))
	t.Cleanup(p.Close) // before the pool
	return over(t, through, change...), over(t, db.Pool(t, "orders"), unhurried), p
}

// requests is one to every operation that needs the database, but for streams: those wait for it.
func requests() [][]string {
	const body = `{"user_id":"u","total":1}`
	return [][]string{
		{"POST", "/orders", body}, {"POST", "/orders?wait=20s", body}, {"POST", "/orders", body, "Idempotency-Key", "k"},
		{"GET", "/orders/o", ""}, {"GET", "/orders/o?wait=20s", ""}, {"GET", "/orders", ""}, {"GET", "/orders/o/events", ""},
		{"POST", "/orders/o/cancel", ""},
		{"GET", "/inventory", ""}, {"GET", "/inventory/tutu", ""},
	}
}

func TestARequestHearsWithinTwoSecondsThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	require.Less(t, httpx.StoreWithin, 2*time.Second, "the only thing that a request waits for")
	refusing := over(t, pool(t, "postgres://orders:orders@127.0.0.1:1/none"))
	hung, beside, p := hanging(t)
	beside.place(t)
	require.Equal(t, 200, got(t, hung.insists(t, "GET", "/orders/o", "")).status, "connections are open")
	p.Hang()
	for name, s := range map[string]*site{"refuses": refusing, "hangs": hung} {
		start := time.Now()
		var answers []<-chan *answer
		for _, r := range requests() {
			answers = append(answers, s.sent(t, r[0], r[1], r[2], r[3:]...))
		}
		for i, r := range requests() {
			a := got(t, answers[i])
			requireUnavailable(t, a, start, fmt.Sprintf("%s, %s %s", name, r[0], r[1]))
			if name == "refuses" && r[1] == "/orders" && r[0] == "POST" {
				requireProblem(t, a, 503, "the order was not taken")
			}
		}
		start = time.Now()
		requireUnavailable(t, s.admin(t, "POST", "/inventory/tutu/restock", `{"quantity":1}`), start, name+", restock")
	}
	require.Equal(t, "1 orders, 1 messages, 0 keys", beside.stored(t))

	p.Resume()
	testkit.Eventually(t, func() error {
		a, err := hung.try(t.Context(), hung.publicURL, "POST", "/orders", `{"user_id":"u","total":1}`, []string{"Idempotency-Key", "k"})
		if err == nil && a.status != 202 {
			err = fmt.Errorf("%d %s", a.status, a.body)
		}
		return err
	})
}

// What is committed is taken: losing the database while the client waits for the outcome does not make it an error.
func TestPlaceStaysAcceptedWhenTheDatabaseGoesAwayDuringTheWait(t *testing.T) {
	t.Parallel()
	s, beside, p := hanging(t)
	plain := s.insists(t, "POST", "/orders?wait=3s", order)
	keyed := s.insists(t, "POST", "/orders?wait=3s", `{"order_id":"k","user_id":"u","total":1}`, "Idempotency-Key", "k")
	beside.there(t, "o")
	beside.there(t, "k")
	s.quiet(t)
	p.Hang()
	for _, ch := range []<-chan *answer{plain, keyed} {
		a := got(t, ch)
		require.Equal(t, 202, a.status, a.body)
		require.Contains(t, a.body, `"status":"pending"`)
	}
}

// The look-out for what others commit gives up on connections that hang, and goes on over new ones.
func TestWaitingOutlastsADatabaseThatHangs(t *testing.T) {
	t.Parallel()
	s, beside, p := hanging(t)
	ctx, cancel := context.WithCancel(t.Context())
	looking := make(chan error, 1)
	go func() { looking <- s.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-looking)
	}()
	held := s.insists(t, "POST", "/orders?wait=30s", order)
	beside.there(t, "o")
	open(t, held, 500*time.Millisecond) // longer than the pause between two looks
	p.Hang()
	open(t, held, 500*time.Millisecond)
	beside.settle(t)
	p.Resume()
	a := got(t, held)
	require.Equal(t, 200, a.status, a.body)
	require.Contains(t, a.body, `"status":"confirmed"`)
}

func TestAStreamOutlastsADatabaseThatHangs(t *testing.T) {
	t.Parallel()
	s, beside, p := hanging(t, httpapi.SetHeartbeat(5*time.Second)) // longer than a read may take
	s.place(t)
	f := s.follow(t, "")
	require.Equal(t, "1 pending", f.event(t))
	s.quiet(t)
	p.Hang()
	require.Equal(t, ": still here", f.next(t))
	beside.settle(t)
	p.Resume()
	for _, want := range []string{"2 awaiting_payment", "3 confirmed", ""} {
		require.Equal(t, want, f.event(t))
	}
}

// once is a store that does not answer when it is asked for news of a timeline for the first time.
type once struct {
	app.Store
	hung *atomic.Bool
}

func (o once) Timeline(ctx context.Context, id string, after int64, only *string) ([]domain.Change, error) {
	if after > 0 && o.hung.CompareAndSwap(false, true) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return o.Store.Timeline(ctx, id, after, only)
}

func TestAStreamReadsItsNewsAgainWhenTheFirstReadHangs(t *testing.T) {
	t.Parallel()
	var hung atomic.Bool
	s := overStore(t, testkit.Database(t, migrations.Up).Pool(t, "orders"), func(inner app.Store) app.Store { return once{inner, &hung} },
		httpapi.SetHeartbeat(time.Hour))
	s.place(t)
	f := s.follow(t, "")
	require.Equal(t, "1 pending", f.event(t))
	deliver(t, s.OnOrderPlaced, placed())
	require.Equal(t, "2 awaiting_payment", f.event(t))
	require.True(t, hung.Load())
}
