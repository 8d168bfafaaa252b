package httpapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/httpapi"
	"pasdetrois/services/orders/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// silent publishes nothing: these tests end at the outbox.
type silent struct{}

func (silent) Enqueue(...outbox.Row) {}

// over returns the public and the admin API over a database.
func over(db *pgxpool.Pool) (public, admin http.Handler) {
	log := slog.New(slog.DiscardHandler)
	orders := app.New(app.Config{Store: store.New(db, silent{}), Metrics: app.NewMetrics(prometheus.NewRegistry()), Log: log,
		Now: time.Now, NewID: uuid.NewString, Policy: domain.Policy{PaymentTimeout: time.Hour, RepublishAfter: time.Hour},
		HeldTimeout: time.Minute, KeyTTL: time.Hour})
	api, public := httpx.NewAPI("orders", "1", "test")
	httpapi.Register(api, orders, log)
	api, admin = httpx.NewAPI("orders admin", "1", "test")
	httpapi.RegisterAdmin(api, orders, log)
	return public, admin
}

func setup(t *testing.T) (public, admin http.Handler) {
	t.Helper()
	return over(testkit.Database(t, migrations.Up).Pool(t, "orders"))
}

// do sends a request; header is pairs of name and value.
func do(t *testing.T, h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if body == "" {
		r.Body = http.NoBody
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func requireProblem(t *testing.T, w *httptest.ResponseRecorder, status int, mentions string) {
	t.Helper()
	require.Equal(t, status, w.Code, w.Body)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), mentions)
}

func TestPlaceRefusesBadOrders(t *testing.T) {
	t.Parallel()
	public, _ := setup(t)
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
			requireProblem(t, do(t, public, "POST", "/orders", c.body), c.status, c.mentions)
		})
	}
	requireProblem(t, do(t, public, "POST", "/orders?wait=soon", `{"user_id":"u","total":1}`), 422, "query.wait")
	requireProblem(t, do(t, public, "POST", "/orders", `{"user_id":"u","total":1}`, "Content-Type", "text/plain"), 415, "json")
	requireProblem(t, do(t, public, "POST", "/orders", `{"user_id":"u","total":1}`, "Idempotency-Key", "\xff"), 422, "Idempotency-Key")
}

// What Postgres does not take as text is no id of anything: the client's mistake, never ours.
func TestUnstorableText(t *testing.T) {
	t.Parallel()
	public, _ := setup(t)
	for _, id := range []string{"nobody", "%00", "%ff"} {
		for _, path := range []string{"/orders/" + id, "/orders/" + id + "/events", "/inventory/" + id} {
			requireProblem(t, do(t, public, "GET", path, ""), 404, "")
		}
		requireProblem(t, do(t, public, "POST", "/orders/"+id+"/cancel", ""), 404, "")
	}
	for _, q := range []string{"user_id=%00", "user_id=%ff", "limit=0", "limit=501", "status=new", "cursor=!",
		"cursor=eyJPcmRlcklEIjoiXHUwMDAwIn0"} {
		requireProblem(t, do(t, public, "GET", "/orders?"+q, ""), 422, "query.")
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	public, _ := setup(t)
	const body = `{"user_id":"u","total":49.90}`
	first := do(t, public, "POST", "/orders", body, "Idempotency-Key", "k")
	require.Equal(t, 202, first.Code, first.Body)
	require.Contains(t, first.Body.String(), `"total":49.90,`, "the exact decimal")
	again := do(t, public, "POST", "/orders", body, "Idempotency-Key", "k")
	require.Equal(t, 202, again.Code)
	require.Equal(t, first.Body.Bytes(), again.Body.Bytes())
	require.Equal(t, first.Header().Get("Location"), again.Header().Get("Location"))
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	require.Empty(t, first.Header().Get("Idempotency-Replayed"))
	requireProblem(t, do(t, public, "POST", "/orders", `{"user_id":"u","total":1}`, "Idempotency-Key", "k"), 422, "Idempotency-Key")
}

func TestIdempotencyKeyWhileRunning(t *testing.T) {
	t.Parallel()
	public, _ := setup(t)
	place := func() *httptest.ResponseRecorder {
		return do(t, public, "POST", "/orders?wait=1s", `{"order_id":"o","user_id":"u","total":1}`, "Idempotency-Key", "k")
	}
	first := make(chan *httptest.ResponseRecorder, 1)
	go func() { first <- place() }()
	require.Eventually(t, func() bool { return do(t, public, "GET", "/orders/o", "").Code == 200 }, 5*time.Second, 10*time.Millisecond)
	busy := place()
	requireProblem(t, busy, 409, "running")
	require.NotEmpty(t, busy.Header().Get("Retry-After"))
	w := <-first
	require.Equal(t, 202, w.Code, "not settled in time")
	again := place()
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	require.Equal(t, w.Body.String(), again.Body.String())
}

func TestSameOrderID(t *testing.T) {
	t.Parallel()
	public, _ := setup(t)
	const id = "a/b ü?"
	w := do(t, public, "POST", "/orders", `{"order_id":"a/b ü?","user_id":"u","total":1}`)
	require.Equal(t, 202, w.Code, w.Body)
	require.Equal(t, "/orders/"+url.PathEscape(id), w.Header().Get("Location"))
	require.Equal(t, 200, do(t, public, "POST", "/orders", `{"order_id":"a/b ü?","user_id":"u","total":1.00}`).Code)
	requireProblem(t, do(t, public, "POST", "/orders", `{"order_id":"a/b ü?","user_id":"u","total":2}`), 409, "")

	got := do(t, public, "GET", w.Header().Get("Location"), "")
	require.Equal(t, 200, got.Code, got.Body)
	unchanged := do(t, public, "GET", w.Header().Get("Location"), "", "If-None-Match", got.Header().Get("ETag"))
	require.Equal(t, 304, unchanged.Code)
	require.Empty(t, unchanged.Body.String())
}

func TestEventStreamEndsWithTheOrder(t *testing.T) {
	t.Parallel()
	public, _ := setup(t)
	require.Equal(t, 202, do(t, public, "POST", "/orders", `{"order_id":"o","user_id":"u","total":1}`).Code)
	streamed := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		streamed <- do(t, public, "GET", "/orders/o/events", "", "Accept", "text/event-stream")
	}()
	cancelled := do(t, public, "POST", "/orders/o/cancel", "")
	require.Equal(t, 200, cancelled.Code, cancelled.Body)
	select {
	case w := <-streamed:
		require.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
		require.Contains(t, w.Body.String(), "id: 1\nevent: ")
		require.Contains(t, w.Body.String(), `"to":"cancelled"`)
	case <-time.After(10 * time.Second):
		t.Fatal("the stream goes on after the order is settled")
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	public, admin := setup(t)
	require.Equal(t, 201, do(t, admin, "PUT", "/inventory/tutu", `{"name":"Tutu","price":19.90}`).Code)
	require.Equal(t, 200, do(t, admin, "POST", "/inventory/tutu/restock", `{"quantity":3}`).Code)
	w := do(t, public, "GET", "/inventory/tutu", "")
	require.Equal(t, 200, w.Code, w.Body)
	require.Contains(t, w.Body.String(), `"price":19.90,"currency":"USD","available":3,"reserved":0,"sold":0,"stocked":3`)
	for i, price := range []string{"0", "-1", "1.999", `"1"`, "null"} {
		w := do(t, admin, "PUT", fmt.Sprintf("/inventory/bad-%d", i), `{"name":"Bad","price":`+price+`}`)
		requireProblem(t, w, 422, "price")
	}
	requireProblem(t, do(t, admin, "PUT", "/inventory/nul", `{"name":"a\u0000","price":1}`), 422, "name")
	requireProblem(t, do(t, admin, "POST", "/inventory/none/restock", `{"quantity":1}`), 404, "")
	requireProblem(t, do(t, admin, "POST", "/inventory/tutu/restock", `{"quantity":0}`), 422, "quantity")
}

func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	pool, err := pgdb.Open(pgdb.Config{URL: "postgres://orders:orders@127.0.0.1:1/none", Schema: "orders"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	public, _ := over(pool)
	for _, c := range [][3]string{{"GET", "/orders/o"}, {"GET", "/orders"}, {"GET", "/orders/o/events"}, {"GET", "/inventory"},
		{"POST", "/orders/o/cancel"}, {"POST", "/orders?wait=5s", `{"user_id":"u","total":1}`}} {
		start := time.Now()
		w := do(t, public, c[0], c[1], c[2])
		require.Less(t, time.Since(start), 2*time.Second, c)
		requireProblem(t, w, 503, "database")
		require.NotEmpty(t, w.Header().Get("Retry-After"))
	}
}
