package httpapi_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
)

func TestPlaceRefusesBadOrders(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, c := range map[string]struct {
		body     string
		status   int
		mentions string
	}{
		"free":               {`{"user_id":"u","total":0}`, 422, "total"},
		"negative":           {`{"user_id":"u","total":-1}`, 422, "total"},
		"too precise":        {`{"user_id":"u","total":1.005}`, 422, "body.total"},
		"total as text":      {`{"user_id":"u","total":"1.00"}`, 422, "total"},
		"total null":         {`{"user_id":"u","total":null}`, 422, "total"},
		"total beyond float": {`{"user_id":"u","total":1e400}`, 400, "total"},
		"neither":            {`{"user_id":"u"}`, 422, "body.total"},
		"no user":            {`{"total":1}`, 422, "user_id"},
		"control character":  {`{"user_id":"u\u0000","total":1}`, 422, "body.user_id"},
		"unknown field":      {`{"user_id":"u","total":1,"price":1}`, 422, "price"},
		"currency":           {`{"user_id":"u","total":1,"currency":"XXQ"}`, 422, "XXQ"},
		"unknown sku":        {`{"user_id":"u","items":[{"sku":"nothing","quantity":1}]}`, 422, "nothing"},
		"no pieces":          {`{"user_id":"u","items":[{"sku":"nothing","quantity":0}]}`, 422, "items[0].quantity"},
		"sku twice":          {`{"user_id":"u","items":[{"sku":"a","quantity":1},{"sku":"a","quantity":1}]}`, 422, "items[1]"},
		"key twice":          {`{"user_id":"u","user_id":"v","total":1}`, 400, "user_id"},
		"no json":            {`{`, 400, "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireProblem(t, s.do(t, "POST", "/orders", c.body), c.status, c.mentions)
		})
	}
	requireProblem(t, s.do(t, "POST", "/orders?wait=soon", `{"user_id":"u","total":1}`), 400, "query.wait")
	requireProblem(t, s.do(t, "POST", "/orders", `{"user_id":"u","total":1}`, "Content-Type", "text/plain"), 415, "json")
	requireProblem(t, s.do(t, "POST", "/orders", `{"user_id":"u","total":1}`, "Idempotency-Key", "\xff"), 422, "Idempotency-Key")
}

// What Postgres does not take as text is no id of anything: the client's mistake, never ours.
func TestUnstorableText(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, id := range []string{"nobody", "%00", "%ff"} {
		for _, path := range []string{"/orders/" + id, "/orders/" + id + "/events", "/inventory/" + id} {
			requireProblem(t, s.do(t, "GET", path, ""), 404, "")
		}
		requireProblem(t, s.do(t, "POST", "/orders/"+id+"/cancel", ""), 404, "")
	}
	for _, q := range []string{"user_id=%00", "user_id=%ff", "limit=0", "limit=501", "status=new", "cursor=!",
		"cursor=eyJPcmRlcklEIjoiXHUwMDAwIn0"} {
		requireProblem(t, s.do(t, "GET", "/orders?"+q, ""), 422, "query.")
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const body = `{"user_id":"u","total":49.90}`
	first := s.do(t, "POST", "/orders", body, "Idempotency-Key", "k")
	require.Equal(t, 202, first.status, first.body)
	require.Contains(t, first.body, `"total":49.90,`, "the exact decimal")
	again := s.do(t, "POST", "/orders", body, "Idempotency-Key", "k")
	require.Equal(t, 202, again.status)
	require.Equal(t, first.body, again.body)
	require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Empty(t, first.header.Get("Idempotency-Replayed"))
	requireProblem(t, s.do(t, "POST", "/orders", `{"user_id":"u","total":1}`, "Idempotency-Key", "k"), 422, "Idempotency-Key")
}

func TestIdempotencyKeyWhileRunning(t *testing.T) {
	t.Parallel()
	s := setup(t)
	place := func() *answer {
		return s.do(t, "POST", "/orders?wait=1s", `{"order_id":"o","user_id":"u","total":1}`, "Idempotency-Key", "k")
	}
	first := make(chan *answer, 1)
	go func() { first <- place() }()
	require.Eventually(t, func() bool { return s.do(t, "GET", "/orders/o", "").status == 200 }, 5*time.Second, 10*time.Millisecond)
	busy := place()
	requireProblem(t, busy, 409, "running")
	require.NotEmpty(t, busy.header.Get("Retry-After"))
	w := <-first
	require.Equal(t, 202, w.status, "not settled in time")
	again := place()
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, w.body, again.body)
}

func TestSameOrderID(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const id = "a/b ü?"
	w := s.do(t, "POST", "/orders", `{"order_id":"a/b ü?","user_id":"u","total":1}`)
	require.Equal(t, 202, w.status, w.body)
	require.Equal(t, "/orders/"+url.PathEscape(id), w.header.Get("Location"))
	require.Equal(t, 200, s.do(t, "POST", "/orders", `{"order_id":"a/b ü?","user_id":"u","total":1.00}`).status)
	requireProblem(t, s.do(t, "POST", "/orders", `{"order_id":"a/b ü?","user_id":"u","total":2}`), 409, "")

	got := s.do(t, "GET", w.header.Get("Location"), "")
	require.Equal(t, 200, got.status, got.body)
	unchanged := s.do(t, "GET", w.header.Get("Location"), "", "If-None-Match", got.header.Get("ETag"))
	require.Equal(t, 304, unchanged.status)
	require.Empty(t, unchanged.body)
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Equal(t, 201, s.admin(t, "PUT", "/inventory/tutu", `{"name":"Tutu","price":19.90}`).status)
	require.Equal(t, 200, s.admin(t, "POST", "/inventory/tutu/restock", `{"quantity":3}`).status)
	w := s.do(t, "GET", "/inventory/tutu", "")
	require.Equal(t, 200, w.status, w.body)
	require.Contains(t, w.body, `"price":19.90,"currency":"USD","available":3,"reserved":0,"sold":0,"stocked":3`)
	for i, price := range []string{"0", "-1", "1.999", `"1"`, "null"} {
		w := s.admin(t, "PUT", fmt.Sprintf("/inventory/bad-%d", i), `{"name":"Bad","price":`+price+`}`)
		requireProblem(t, w, 422, "price")
	}
	requireProblem(t, s.admin(t, "PUT", "/inventory/nul", `{"name":"a\u0000","price":1}`), 422, "name")
	requireProblem(t, s.admin(t, "POST", "/inventory/none/restock", `{"quantity":1}`), 404, "")
	requireProblem(t, s.admin(t, "POST", "/inventory/tutu/restock", `{"quantity":0}`), 422, "quantity")
}

func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	pool, err := pgdb.Open(pgdb.Config{URL: "postgres://orders:orders@127.0.0.1:1/none", Schema: "orders"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	s := over(t, pool)
	for _, c := range [][3]string{{"GET", "/orders/o"}, {"GET", "/orders"}, {"GET", "/orders/o/events"}, {"GET", "/inventory"},
		{"POST", "/orders/o/cancel"}, {"POST", "/orders?wait=5s", `{"user_id":"u","total":1}`}} {
		start := time.Now()
		w := s.do(t, c[0], c[1], c[2])
		require.Less(t, time.Since(start), 2*time.Second, c)
		requireProblem(t, w, 503, "database")
		require.NotEmpty(t, w.header.Get("Retry-After"))
	}
}
