package httpapi_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/store"
)

// by gives the requests of h a caller.
func by(h http.Handler, c auth.Caller) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r.WithContext(auth.With(r.Context(), c))) })
}

func TestAListHasTheNotificationsThatItsCallerMayRead(t *testing.T) {
	t.Parallel()
	ada, bob := auth.User("ada", auth.Read), auth.User("bob", auth.Read)
	support, admin := auth.User("sue", auth.ReadAll), auth.User("", auth.Admin)
	alert := about("1", messages.KindFraudAlert, "ada") // to the staff, about her
	alert.To = "security@example.com"
	h, _ := setup(t, about("1", "failed", "ada"), alert, about("2", "confirmed", "bob"), about("3", "confirmed", "ada"), about("4", "confirmed", "bob"))
	names := func(p page) (names []string) {
		for _, item := range p.Items {
			names = append(names, item["order_id"].(string)+item["kind"].(string))
		}
		return names
	}
	all := []string{"4confirmed", "3confirmed", "2confirmed", "1fraud_alert", "1failed"}
	for i, c := range []struct {
		caller auth.Caller
		query  url.Values
		want   []string
	}{
		{ada, nil, []string{"3confirmed", "1failed"}},
		{ada, url.Values{"user_id": {"ada"}}, []string{"3confirmed", "1failed"}},
		{ada, url.Values{"order_id": {"1"}}, []string{"1failed"}},
		{ada, url.Values{"order_id": {"2"}}, nil},
		{ada, url.Values{"user_id": {"bob"}}, nil},
		{ada, url.Values{"user_id": {"bob"}, "order_id": {"1"}}, nil},
		{ada, url.Values{"user_id": {"Ada"}}, nil},
		{auth.User("", auth.Read), nil, nil},
		{auth.Caller{}, nil, nil},
		{support, nil, all},
		{support, url.Values{"user_id": {"ada"}}, []string{"3confirmed", "1fraud_alert", "1failed"}},
		{admin, nil, all},
		{auth.Anyone, nil, all},
	} {
		require.Equal(t, c.want, names(list(t, by(h, c.caller), c.query)), i)
	}
	first := list(t, by(h, ada), url.Values{"limit": {"1"}})
	require.Equal(t, []string{"2confirmed"}, names(list(t, by(h, bob), url.Values{"cursor": {first.NextCursor}})),
		"a cursor of ada is a place for bob, and opens nothing")
}

// A list about an order of another user costs the same statements with the same results as one about an order that does not exist.
func TestNotificationsOfAnotherAreLikeNone(t *testing.T) {
	t.Parallel()
	pool, statements := testkit.Database(t, migrations.Up).Observed(t, "notifications")
	s := store.New(pool)
	_, err := s.Add(t.Context(), []domain.Notification{about("hers", "confirmed", "ada")}, 0)
	require.NoError(t, err)
	h := by(handler(overStore(s)), auth.User("bob", auth.Read))
	ask := func(order string) (string, []string) {
		statements.Take()
		w := get(t, h, http.MethodGet, "/notifications?order_id="+order)
		require.Equal(t, http.StatusOK, w.Code)
		return w.Body.String(), statements.Take()
	}
	want, run := ask("none")
	require.NotEmpty(t, run)
	got, same := ask("hers")
	require.Equal(t, want, got)
	require.Equal(t, run, same)
}
