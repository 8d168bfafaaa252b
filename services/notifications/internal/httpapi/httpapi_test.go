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
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/httpapi"
	"pasdetrois/services/notifications/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var t0 = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func handler(notifications httpapi.Notifications) http.Handler {
	api, h := httpx.NewAPI("notifications", "1", "test")
	httpapi.Register(api, notifications, slog.New(slog.DiscardHandler))
	return h
}

// overStore is the API's view of the use cases; sending plays no part in it.
func overStore(s *store.Store) httpapi.Notifications { return app.New(app.Config{Store: s}) }

// setup returns the API over a database with the given notifications.
func setup(t *testing.T, notifications ...domain.Notification) (http.Handler, *store.Store) {
	t.Helper()
	s := store.New(testkit.Database(t, migrations.Up).Pool(t, "notifications"))
	_, err := s.Add(t.Context(), notifications, time.Minute)
	require.NoError(t, err)
	return handler(overStore(s)), s
}

func about(order, kind, user string) domain.Notification {
	return domain.New("m-"+order+kind, t0, messages.NotificationRequested{UserID: user, OrderID: order, Kind: kind,
		Message: "Order " + order + " " + kind + "!", Channel: messages.ChannelEmail})
}

// get sends a request to a server of its own.
func get(t *testing.T, h http.Handler, method, target string) *httptest.ResponseRecorder {
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
}

type page struct {
	Items      []map[string]any `json:"items"`
	NextCursor string           `json:"next_cursor"`
}

func list(t *testing.T, h http.Handler, query url.Values) page {
	t.Helper()
	w := get(t, h, http.MethodGet, "/notifications?"+query.Encode())
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var p page
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.NotNil(t, p.Items, "items is there even when empty")
	return p
}

func TestListNotificationsTellsWhatWasSentToWhomAndWhen(t *testing.T) {
	t.Parallel()
	n := about("1001", messages.KindConfirmed, "u1")
	h, s := setup(t, n)
	item := list(t, h, nil).Items[0]
	delete(item, "created_at")
	want := map[string]any{"order_id": "1001", "kind": "confirmed", "user_id": "u1", "to": "u1@example.com",
		"subject": "Order 1001 is confirmed", "message": "Order 1001 confirmed!", "channel": "email", "status": "pending",
		"attempts": 0.0, "message_id": n.Email().MessageID, "requested_at": "2026-05-01T12:00:00Z"}
	require.Equal(t, want, item)

	stored, err := s.List(t.Context(), app.Query{Limit: 1})
	require.NoError(t, err)
	require.NoError(t, s.Settle(t.Context(), []app.Outcome{{ID: stored[0].ID, Claim: stored[0].Claim, Status: domain.Sent, SentAt: t0.Add(time.Second)}}))
	item = list(t, h, nil).Items[0]
	require.Equal(t, "sent", item["status"])
	require.Equal(t, "2026-05-01T12:00:01Z", item["sent_at"])
	require.InDelta(t, 1, item["attempts"], 0)
}

func TestListNotificationsShowsWhyOneFailed(t *testing.T) {
	t.Parallel()
	h, s := setup(t, about("1001", "", "u1"))
	stored, err := s.List(t.Context(), app.Query{Limit: 1})
	require.NoError(t, err)
	require.NoError(t, s.Settle(t.Context(), []app.Outcome{{ID: stored[0].ID, Claim: stored[0].Claim, Status: domain.Failed, Reason: "550 no such user"}}))
	item := list(t, h, nil).Items[0]
	require.Equal(t, "failed", item["status"])
	require.Equal(t, "550 no such user", item["reason"])
	require.NotContains(t, item, "sent_at")
	require.NotContains(t, item, "kind")
}

func TestListNotificationsFiltersAndPages(t *testing.T) {
	t.Parallel()
	h, _ := setup(t, about("1", "confirmed", "u1"), about("2", "confirmed", "u1"), about("1", "cancelled", "u1"),
		about("1", "fraud_alert", "security"), about("", "", "u2"))
	pages := func(query url.Values) (all [][]string) {
		for {
			p := list(t, h, query)
			names := []string{}
			for _, item := range p.Items {
				order, _ := item["order_id"].(string)
				kind, _ := item["kind"].(string)
				names = append(names, order+kind)
			}
			all = append(all, names)
			if p.NextCursor == "" {
				return all
			}
			query.Set("cursor", p.NextCursor)
		}
	}
	require.Equal(t, [][]string{{"", "1fraud_alert"}, {"1cancelled", "2confirmed"}, {"1confirmed"}}, pages(url.Values{"limit": {"2"}}))
	require.Equal(t, [][]string{{"1cancelled", "2confirmed", "1confirmed"}}, pages(url.Values{"user_id": {"u1"}}))
	require.Equal(t, [][]string{{"1cancelled"}, {"2confirmed"}, {"1confirmed"}}, pages(url.Values{"user_id": {"u1"}, "limit": {"1"}}))
	require.Equal(t, [][]string{{"1fraud_alert", "1cancelled"}, {"1confirmed"}}, pages(url.Values{"order_id": {"1"}, "limit": {"2"}}))
	require.Equal(t, [][]string{{"1cancelled"}, {"1confirmed"}}, pages(url.Values{"order_id": {"1"}, "user_id": {"u1"}, "limit": {"1"}}))
	require.Equal(t, [][]string{{}}, pages(url.Values{"user_id": {"nobody"}}))
	require.Equal(t, [][]string{{"", "1fraud_alert", "1cancelled", "2confirmed", "1confirmed"}}, pages(url.Values{"limit": {"5"}}),
		"a full last page promises no next one")
}

func TestListNotificationsHasEachOnceWhileOthersArrive(t *testing.T) {
	t.Parallel()
	var all []domain.Notification
	var orders []string
	for i := range 13 {
		orders = append(orders, fmt.Sprintf("o%02d", i))
		all = append(all, about(orders[i], "confirmed", "u"))
	}
	h, s := setup(t, all...)
	arrived := 0
	for _, query := range []url.Values{{"limit": {"1"}}, {"limit": {"5"}}, {"user_id": {"u"}, "limit": {"4"}}} {
		var seen []string
		for more := true; more; {
			p := list(t, h, query)
			for _, item := range p.Items {
				if id := item["order_id"].(string); id[0] == 'o' {
					seen = append(seen, id)
				}
			}
			more = p.NextCursor != ""
			query.Set("cursor", p.NextCursor)
			arrived++
			_, err := s.Add(t.Context(), []domain.Notification{about(fmt.Sprintf("new%d", arrived), "confirmed", "u")}, time.Minute)
			require.NoError(t, err)
		}
		require.ElementsMatch(t, orders, seen, query)
	}
}

func TestListNotificationsRefusesBadQueries(t *testing.T) {
	t.Parallel()
	h := handler(stub{})
	for query, names := range map[string]string{"limit=0": "query.limit", "limit=501": "query.limit", "limit=many": "query.limit",
		"user_id=%00": "query.user_id", "user_id=%ff": "query.user_id", "order_id=%00": "query.order_id", "order_id=%ff": "query.order_id",
		"cursor=x": "query.cursor", "cursor=17": "query.cursor", "cursor=v2.-1": "query.cursor", "cursor=v2.0": "query.cursor", "cursor=v2.9999999999999999999": "query.cursor",
		"cursor=v2.%2B1": "query.cursor", "cursor=v2.01": "query.cursor", "limit=": "query.limit", "user_id=": "query.user_id", "order_id=": "query.order_id",
		"limit=1&limit=2": "query.limit"} {
		w := get(t, h, http.MethodGet, "/notifications?"+query)
		requireProblem(t, w, http.StatusBadRequest)
		require.Contains(t, w.Body.String(), names)
	}
}

func TestOtherMethods(t *testing.T) {
	t.Parallel()
	h := handler(stub{})
	w := get(t, h, http.MethodPost, "/notifications")
	requireProblem(t, w, http.StatusMethodNotAllowed)
	require.Contains(t, w.Header().Get("Allow"), http.MethodGet)
	requireProblem(t, get(t, h, http.MethodGet, "/nothing/here"), http.StatusNotFound)
}

func TestARequestHearsSoonThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	open := func(url string) *pgxpool.Pool {
		pool, err := pgdb.Open(pgdb.Config{URL: url, Schema: "notifications"})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	db := testkit.Database(t, migrations.Up)
	proxy := testkit.NewProxy(t, db.AdminURL)
	through := open(proxy.Through(db.URL("notifications")))
	t.Cleanup(proxy.Close) // before the pool
	hangs := handler(overStore(store.New(through)))
	require.Empty(t, list(t, hangs, nil).Items)
	admin, err := pgx.Connect(t.Context(), db.AdminURL)
	require.NoError(t, err)
	defer admin.Close(t.Context())
	_, err = admin.Exec(t.Context(), `BEGIN; LOCK TABLE notifications.notifications`) // as a migration does
	require.NoError(t, err)
	proxy.Hang()
	for name, h := range map[string]http.Handler{
		"refuses": handler(overStore(store.New(open("postgres://notifications:notifications@127.0.0.1:1/none")))),
		"hangs":   hangs,
		"locked":  handler(overStore(store.New(open(db.URL("notifications") + "&lock_timeout=100ms")))),
	} {
		start := time.Now()
		w := get(t, h, http.MethodGet, "/notifications")
		t.Logf("%s: %d after %s", name, w.Code, time.Since(start))
		require.Less(t, time.Since(start), 30*time.Second, name) // two seconds, on a machine that has time
		requireProblem(t, w, http.StatusServiceUnavailable)
		require.NotEmpty(t, w.Header().Get("Retry-After"), name)
	}
}

// The document names every operation, and with each exactly the statuses that it gives.
func TestTheDocumentSaysWhatIsAnswered(t *testing.T) {
	t.Parallel()
	w := get(t, handler(stub{}), http.MethodGet, "/openapi.json")
	require.Equal(t, http.StatusOK, w.Code)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ Responses map[string]any }
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
	require.Contains(t, doc.OpenAPI, "3.1.")
	require.Len(t, doc.Paths, 1)
	require.Len(t, doc.Paths["/notifications"], 1)
	var documented, given []string
	for status := range doc.Paths["/notifications"]["get"].Responses {
		documented = append(documented, status)
	}
	for _, call := range []struct {
		of    stub
		query string
	}{{stub{}, ""}, {stub{}, "?limit=0"}, {stub{err: errors.New("a bug")}, ""}, {stub{err: context.DeadlineExceeded}, ""}} {
		given = append(given, strconv.Itoa(get(t, handler(call.of), http.MethodGet, "/notifications"+call.query).Code))
	}
	require.ElementsMatch(t, given, documented)
}

func TestUnexpectedErrorTellsNothing(t *testing.T) {
	t.Parallel()
	w := get(t, handler(stub{err: errors.New("the secret inside")}), http.MethodGet, "/notifications")
	requireProblem(t, w, http.StatusInternalServerError)
	require.NotContains(t, w.Body.String(), "secret")
}

// stub is Notifications that errs.
type stub struct{ err error }

func (s stub) List(context.Context, app.Query) ([]domain.Notification, error) { return nil, s.err }

// Whatever failed for good is listed for an operator, who can have it sent again.
func TestFailedEmailsAreListedAndRetried(t *testing.T) {
	t.Parallel()
	s := store.New(testkit.Database(t, migrations.Up).Pool(t, "notifications"))
	kept, err := s.Add(t.Context(), []domain.Notification{about("o-1", "confirmed", "u"), about("o-2", "confirmed", "u")}, time.Minute)
	require.NoError(t, err)
	require.NoError(t, s.Settle(t.Context(), []app.Outcome{{ID: kept[0].ID, Claim: 1, Status: domain.Failed, Reason: "smtp_refused"}}))
	api, h := httpx.NewAPI("notifications", "1", "test")
	httpapi.RegisterAdmin(api, app.New(app.Config{Store: s}), slog.New(slog.DiscardHandler))
	ask := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w.Code, w.Body.String()
	}
	code, body := ask("GET", "/emails")
	require.Equal(t, 200, code)
	require.Contains(t, body, `"order_id":"o-1"`)
	require.NotContains(t, body, `"order_id":"o-2"`)
	id := strconv.FormatInt(kept[0].ID, 10)
	code, body = ask("POST", "/emails/"+id+"/retry")
	require.Equal(t, 202, code, body)
	require.Contains(t, body, `"status":"pending"`)
	for path, want := range map[string]int{"/emails/" + strconv.FormatInt(kept[1].ID, 10) + "/retry": 409, "/emails/999/retry": 404, "/emails/x/retry": 400} {
		code, body = ask("POST", path)
		require.Equal(t, want, code, body)
	}
	for _, path := range []string{"/emails?status=lost", "/emails?limit=0", "/emails?cursor=x", "/emails?status=", "/emails?limit="} {
		code, body = ask("GET", path)
		require.Equal(t, 400, code, body)
	}
}
