package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/store"
)

// by gives the requests of h a caller.
func by(h http.Handler, c auth.Caller) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r.WithContext(auth.With(r.Context(), c))) })
}

var (
	ada      = auth.User("ada", auth.Read)
	bob      = auth.User("bob", auth.Read)
	nameless = auth.User("", auth.Read)
	support  = auth.User("sue", auth.ReadAll)
	admin    = auth.User("", auth.Admin)
)

// A payment of another user is answered, and costs the same statements with the same results, as one that does not exist.
func TestAPaymentOfAnotherIsLikeNone(t *testing.T) {
	t.Parallel()
	pool, statements := testkit.Database(t, migrations.Up).Observed(t, "payments")
	s := store.New(pool)
	_, err := s.Open(t.Context(), payments("ada", 1))
	require.NoError(t, err)
	h := handler(app.New(app.Config{Store: s}))
	ask := func(c auth.Caller, method, path string) (*httptest.ResponseRecorder, []string) {
		statements.Take()
		w := do(t, by(h, c), method, path)
		w.Header().Del("Date")
		return w, statements.Take()
	}
	for _, c := range []auth.Caller{bob, nameless} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			want, run := ask(c, method, "/payments/none")
			require.Equal(t, http.StatusNotFound, want.Code)
			require.NotEmpty(t, run)
			for _, path := range []string{"/payments/ada-0", "/payments/%61da-0"} {
				got, same := ask(c, method, path)
				require.Equal(t, want.Result().Header, got.Result().Header)
				require.Equal(t, want.Body.String(), got.Body.String())
				require.Equal(t, want.Code, got.Code)
				require.Equal(t, run, same)
			}
		}
	}
	for _, c := range []auth.Caller{ada, support, admin, auth.Anyone} {
		w, _ := ask(c, http.MethodGet, "/payments/ada-0")
		require.Equal(t, "ada", shown(t, w)["user_id"])
	}
	w, _ := ask(ada, http.MethodGet, "/payments/ADA-0")
	require.Equal(t, http.StatusNotFound, w.Code)
}

func TestAListHasThePaymentsThatItsCallerMayRead(t *testing.T) {
	t.Parallel()
	h := setup(t, append(payments("ada", 2), payments("bob", 2)...)...)
	list := func(c auth.Caller, query string) (orders []string, next string) {
		body := shown(t, do(t, by(h, c), http.MethodGet, "/payments?"+query))
		for _, item := range body["items"].([]any) {
			orders = append(orders, item.(map[string]any)["order_id"].(string))
		}
		next, _ = body["next_cursor"].(string)
		return orders, next
	}
	all := []string{"bob-1", "ada-1", "bob-0", "ada-0"}
	for i, c := range []struct {
		caller auth.Caller
		query  string
		want   []string
	}{
		{ada, "", []string{"ada-1", "ada-0"}},
		{ada, "user_id=ada", []string{"ada-1", "ada-0"}},
		{ada, "user_id=bob", nil},
		{ada, "user_id=ADA", nil},
		{nameless, "", nil},
		{support, "", all},
		{support, "user_id=bob", []string{"bob-1", "bob-0"}},
		{admin, "", all},
		{auth.Anyone, "", all},
	} {
		orders, _ := list(c.caller, c.query)
		require.Equal(t, c.want, orders, i)
	}
	_, next := list(ada, "limit=1")
	orders, _ := list(bob, "cursor="+next)
	require.Equal(t, []string{"bob-0"}, orders, "a cursor of ada is a place for bob, and opens nothing")
}

// payments are payments of a user, newest last.
func payments(user string, n int) (all []domain.Payment) {
	for i := range n {
		all = append(all, captured(fmt.Sprintf("%s-%d", user, i), user, 100, "USD", t0.Add(time.Duration(i)*time.Second)))
	}
	return all
}
