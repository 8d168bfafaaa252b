package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/httpapi"
	"pasdetrois/services/payments/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var t0 = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func handler(payments httpapi.Payments) http.Handler {
	api, h := httpx.NewAPI("payments", "1", "test")
	httpapi.Register(api, payments, slog.New(slog.DiscardHandler))
	return h
}

// setup returns the API over a database with the given payments.
func setup(t *testing.T, payments ...domain.Payment) http.Handler {
	t.Helper()
	s := store.New(testkit.Database(t, migrations.Up).Pool(t, "payments"))
	_, err := s.Open(t.Context(), payments)
	require.NoError(t, err)
	return handler(app.New(app.Config{Store: s}))
}

func captured(order, user string, minor int64, currency string, at time.Time) domain.Payment {
	return domain.Request{OrderID: order, UserID: user, Amount: messages.Money{Minor: minor, Currency: currency}}.
		Settle(domain.Answer{PaymentID: "pay_1"}, at)
}

// do sends a request to a server of its own.
func do(t *testing.T, h http.Handler, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, nil)
	require.NoError(t, err)
	resp, err := server.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	w := httptest.NewRecorder()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, err = io.Copy(w, resp.Body)
	require.NoError(t, err)
	return w
}

func requireProblem(t *testing.T, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	require.Equal(t, status, w.Code, w.Body)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var problem struct {
		Status int    `json:"status"`
		Title  string `json:"title"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
	require.Equal(t, status, problem.Status)
	require.NotEmpty(t, problem.Title)
}

// shown is a payment without what frameworks add to bodies.
func shown(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var body map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	delete(body, "$schema")
	return body
}

func TestGetPayment(t *testing.T) {
	t.Parallel()
	failed := domain.Request{OrderID: "o2", UserID: "u1", Amount: messages.Money{Minor: 500, Currency: "JPY"}, Method: "pm_card_chargeDeclined"}.
		Settle(domain.Answer{Declined: "card_declined"}, t0)
	h := setup(t, captured("o1", "u1", 4990, "USD", t0), failed, captured("a/b c", "u1", 1, "USD", t0))

	w := do(t, h, http.MethodGet, "/payments/o1")
	require.Equal(t, map[string]any{"order_id": "o1", "user_id": "u1", "amount": 49.9, "currency": "USD", "status": "captured",
		"payment_id": "pay_1", "payment_method": "pm_card_visa", "created_at": "2026-05-01T12:00:00Z",
		"updated_at": "2026-05-01T12:00:00Z"}, shown(t, w))
	require.Contains(t, w.Body.String(), `"amount":49.90,`, "the exact decimal")

	w = do(t, h, http.MethodGet, "/payments/o2")
	body := shown(t, w)
	require.Equal(t, "failed card_declined", body["status"].(string)+" "+body["reason"].(string))
	require.NotContains(t, body, "payment_id")
	require.Contains(t, w.Body.String(), `"amount":500,`)

	require.Equal(t, "a/b c", shown(t, do(t, h, http.MethodGet, "/payments/"+url.PathEscape("a/b c")))["order_id"])
}

func TestGetPaymentUnknown(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, id := range []string{"nobody's", "%00", "%ff", url.PathEscape("x\x00y")} {
		requireProblem(t, do(t, h, http.MethodGet, "/payments/"+id), http.StatusNotFound)
	}
}

func TestListPayments(t *testing.T) {
	t.Parallel()
	h := setup(t, captured("o1", "u1", 100, "USD", t0), captured("o2", "u1", 200, "USD", t0),
		captured("o3", "u1", 300, "USD", t0.Add(time.Second)), captured("o4", "u2", 400, "USD", t0))

	list := func(query url.Values) (pages [][]string) {
		for {
			body := shown(t, do(t, h, http.MethodGet, "/payments?"+query.Encode()))
			page := []string{}
			for _, item := range body["items"].([]any) {
				page = append(page, item.(map[string]any)["order_id"].(string))
			}
			pages = append(pages, page)
			cursor, more := body["next_cursor"].(string)
			if !more {
				return pages
			}
			query.Set("cursor", cursor)
		}
	}
	require.Equal(t, [][]string{{"o3", "o2"}, {"o1"}}, list(url.Values{"user_id": {"u1"}, "limit": {"2"}}))
	require.Equal(t, [][]string{{"o3", "o4", "o2", "o1"}}, list(url.Values{}))
	require.Equal(t, [][]string{{"o3"}, {"o4"}, {"o2"}, {"o1"}}, list(url.Values{"limit": {"1"}}))
	require.Equal(t, [][]string{{}}, list(url.Values{"user_id": {"nobody"}}), "items is there even when empty")
}

func TestListPaymentsHasEachOnceWhileOthersArrive(t *testing.T) {
	t.Parallel()
	s := store.New(testkit.Database(t, migrations.Up).Pool(t, "payments"))
	h := handler(app.New(app.Config{Store: s}))
	keep := func(order, user string, at time.Time) {
		_, err := s.Open(t.Context(), []domain.Payment{captured(order, user, 100, "USD", at)})
		require.NoError(t, err)
	}
	var all []string
	for i := range 13 {
		all = append(all, fmt.Sprintf("o%02d", i))
		keep(all[i], "u", t0.Add(time.Duration(i%3)*time.Second)) // many at the same moment
	}
	arrived := 0
	for _, query := range []url.Values{{"limit": {"1"}}, {"limit": {"5"}}, {"user_id": {"u"}, "limit": {"4"}}} {
		var seen []string
		for more := true; more; {
			body := shown(t, do(t, h, http.MethodGet, "/payments?"+query.Encode()))
			for _, item := range body["items"].([]any) {
				if id := item.(map[string]any)["order_id"].(string); id[0] == 'o' {
					seen = append(seen, id)
				}
			}
			var cursor string
			cursor, more = body["next_cursor"].(string)
			query.Set("cursor", cursor)
			arrived++
			keep(fmt.Sprintf("new%d", arrived), "u", t0.Add(time.Hour+time.Duration(arrived)*time.Second))
		}
		require.ElementsMatch(t, all, seen, query)
	}
}

func TestListPaymentsRefusesBadQueries(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for query, names := range map[string]string{"limit=0": "query.limit", "limit=501": "query.limit", "limit=many": "query.limit",
		"user_id=%00": "query.user_id", "user_id=%ff": "query.user_id", "cursor=!": "query.cursor", "cursor=1-6f": "query.cursor", "cursor=bm8": "query.cursor",
		"cursor=v2.1": "query.cursor", "cursor=v2.1-": "query.cursor", "cursor=v2.-6f": "query.cursor", "cursor=v2.123456789012345678-6f": "query.cursor",
		"limit=": "query.limit", "user_id=": "query.user_id", "limit=1&limit=2": "query.limit"} {
		w := do(t, h, http.MethodGet, "/payments?"+query)
		requireProblem(t, w, http.StatusBadRequest)
		require.Contains(t, w.Body.String(), names)
	}
}

func TestOtherMethods(t *testing.T) {
	t.Parallel()
	h := handler(stub{})
	for _, path := range []string{"/payments/o1", "/payments"} {
		w := do(t, h, http.MethodPost, path)
		requireProblem(t, w, http.StatusMethodNotAllowed)
		require.Contains(t, w.Header().Get("Allow"), http.MethodGet)
	}
	requireProblem(t, do(t, h, http.MethodGet, "/nothing/here"), http.StatusNotFound)
}

func TestARequestHearsSoonThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	open := func(url string) *pgxpool.Pool {
		pool, err := pgdb.Open(pgdb.Config{URL: url, Schema: "payments"})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	db := testkit.Database(t, migrations.Up)
	proxy := testkit.NewProxy(t, db.AdminURL)
	through := open(proxy.Through(db.URL("payments")))
	t.Cleanup(proxy.Close) // before the pool
	hangs := handler(app.New(app.Config{Store: store.New(through)}))
	requireProblem(t, do(t, hangs, http.MethodGet, "/payments/o1"), http.StatusNotFound)
	admin, err := pgx.Connect(t.Context(), db.AdminURL)
	require.NoError(t, err)
	defer admin.Close(t.Context())
	_, err = admin.Exec(t.Context(), `BEGIN; LOCK TABLE payments.payments`) // as a migration does
	require.NoError(t, err)
	proxy.Hang()
	for name, h := range map[string]http.Handler{
		"refuses": handler(app.New(app.Config{Store: store.New(open("postgres://payments:payments@127.0.0.1:1/none"))})),
		"hangs":   hangs,
		"locked":  handler(app.New(app.Config{Store: store.New(open(db.URL("payments") + "&lock_timeout=100ms"))})),
	} {
		for _, path := range []string{"/payments/o1", "/payments"} {
			start := time.Now()
			w := do(t, h, http.MethodGet, path)
			t.Logf("%s: %d after %s", name, w.Code, time.Since(start))
			require.Less(t, time.Since(start), 30*time.Second, name) // two seconds, on a machine that has time
			requireProblem(t, w, http.StatusServiceUnavailable)
			require.NotEmpty(t, w.Header().Get("Retry-After"), name)
		}
	}
}

func TestUnexpectedErrorTellsNothing(t *testing.T) {
	t.Parallel()
	w := do(t, handler(stub{err: errors.New("the secret inside")}), http.MethodGet, "/payments/o1")
	requireProblem(t, w, http.StatusInternalServerError)
	require.NotContains(t, w.Body.String(), "secret")
}

// The document names every operation, and with each exactly the statuses that it gives.
func TestTheDocumentSaysWhatIsAnswered(t *testing.T) {
	t.Parallel()
	h := setup(t, captured("o1", "u1", 100, "USD", t0))
	broken := handler(stub{err: errors.New("a bug")})
	away := handler(stub{err: context.DeadlineExceeded})
	w := do(t, h, http.MethodGet, "/openapi.json")
	require.Equal(t, http.StatusOK, w.Code)
	var doc struct {
		OpenAPI    string
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Type any }
			}
		}
		Paths map[string]map[string]struct{ Responses map[string]any }
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
	require.Contains(t, doc.OpenAPI, "3.1.")
	require.Equal(t, "number", doc.Components.Schemas["Payment"].Properties["amount"].Type)

	given := map[string][]int{}
	for path, calls := range map[string][]*httptest.ResponseRecorder{
		"/payments/{order_id}": {do(t, h, "GET", "/payments/o1"), do(t, h, "GET", "/payments/x"), do(t, broken, "GET", "/payments/x"),
			do(t, away, "GET", "/payments/x")},
		"/payments": {do(t, h, "GET", "/payments"), do(t, h, "GET", "/payments?limit=0"), do(t, broken, "GET", "/payments"),
			do(t, away, "GET", "/payments")},
	} {
		for _, w := range calls {
			given[path] = append(given[path], w.Code)
		}
	}
	documented := map[string][]int{}
	for path, operations := range doc.Paths {
		require.Len(t, operations, 1)
		for status := range operations["get"].Responses {
			n, err := strconv.Atoi(status)
			require.NoError(t, err)
			documented[path] = append(documented[path], n)
		}
		slices.Sort(documented[path])
	}
	require.Equal(t, given, documented)
}

// stub is Payments that errs.
type stub struct{ err error }

func (s stub) Get(context.Context, string) (domain.Payment, error)       { return domain.Payment{}, s.err }
func (s stub) List(context.Context, app.Query) ([]domain.Payment, error) { return nil, s.err }
