package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

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

func do(t *testing.T, h http.Handler, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, nil))
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

func TestListPaymentsRefusesBadQueries(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, query := range []string{"limit=0", "limit=501", "limit=many", "user_id=%00", "user_id=%ff", "cursor=!",
		"cursor=bm8", "cursor=OTk5OTk5OTk5OTk5OTk5OTk5OSBvMQ", "cursor=LTEgbzE", "cursor=MSA"} {
		requireProblem(t, do(t, h, http.MethodGet, "/payments?"+query), http.StatusUnprocessableEntity)
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

func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	pool, err := pgdb.Open(pgdb.Config{URL: "postgres://payments:payments@127.0.0.1:1/none", Schema: "payments"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	for name, h := range map[string]http.Handler{
		"refuses connections": handler(app.New(app.Config{Store: store.New(pool)})),
		"does not answer":     handler(stub{wait: true}),
	} {
		for _, path := range []string{"/payments/o1", "/payments"} {
			start := time.Now()
			w := do(t, h, http.MethodGet, path)
			require.Less(t, time.Since(start), 2*time.Second, name)
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

func TestAmountIsANumberInTheSchema(t *testing.T) {
	t.Parallel()
	w := do(t, handler(stub{}), http.MethodGet, "/openapi.json")
	require.Equal(t, http.StatusOK, w.Code)
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Type any }
			}
		}
		Paths map[string]any
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
	require.Equal(t, "number", doc.Components.Schemas["Payment"].Properties["amount"].Type)
	require.Contains(t, doc.Paths, "/payments/{order_id}")
}

// stub is Payments whose database hangs or errs.
type stub struct {
	wait bool
	err  error
}

func (s stub) fail(ctx context.Context) error {
	if s.wait {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.err
}

func (s stub) Get(ctx context.Context, _ string) (domain.Payment, error) {
	return domain.Payment{}, s.fail(ctx)
}
func (s stub) List(ctx context.Context, _ app.Query) (app.Page, error) {
	return app.Page{}, s.fail(ctx)
}
