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
func overStore(s *store.Store) httpapi.Notifications { return app.New(s, nil, nil, nil) }

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

func get(t *testing.T, h http.Handler, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, nil))
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

func TestListNotificationsRefusesBadQueries(t *testing.T) {
	t.Parallel()
	h := handler(stub{})
	for _, query := range []string{"limit=0", "limit=501", "limit=many", "user_id=%00", "user_id=%ff", "order_id=%00", "order_id=%ff",
		"cursor=x", "cursor=-1", "cursor=0", "cursor=9999999999999999999"} {
		requireProblem(t, get(t, h, http.MethodGet, "/notifications?"+query), http.StatusUnprocessableEntity)
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

func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	pool, err := pgdb.Open(pgdb.Config{URL: "postgres://notifications:notifications@127.0.0.1:1/none", Schema: "notifications"},
		slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	for name, h := range map[string]http.Handler{
		"refuses connections": handler(overStore(store.New(pool))),
		"does not answer":     handler(stub{wait: true}),
	} {
		start := time.Now()
		w := get(t, h, http.MethodGet, "/notifications")
		require.Less(t, time.Since(start), 2*time.Second, name)
		requireProblem(t, w, http.StatusServiceUnavailable)
		require.NotEmpty(t, w.Header().Get("Retry-After"), name)
	}
}

func TestUnexpectedErrorTellsNothing(t *testing.T) {
	t.Parallel()
	w := get(t, handler(stub{err: errors.New("the secret inside")}), http.MethodGet, "/notifications")
	requireProblem(t, w, http.StatusInternalServerError)
	require.NotContains(t, w.Body.String(), "secret")
}

// stub is Notifications whose database hangs or errs.
type stub struct {
	wait bool
	err  error
}

func (s stub) List(ctx context.Context, _ app.Query) (app.Page, error) {
	if s.wait {
		<-ctx.Done()
		return app.Page{}, ctx.Err()
	}
	return app.Page{}, s.err
}
