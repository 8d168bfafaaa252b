package auth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auth"
)

// site has one operation for each kind of Security.
func site(after func(huma.API)) http.Handler {
	mux := http.NewServeMux()
	api := humago.New(mux, huma.DefaultConfig("site", "1"))
	auth.Enforce(api)
	for path, security := range map[string][]map[string][]string{
		"/own":       auth.Needs(auth.Read),
		"/either":    auth.Needs(auth.Read, auth.Write),
		"/admin":     auth.Needs(auth.Admin),
		"/open":      auth.Public(),
		"/forgotten": nil,
		"/foreign":   {{"key": {}}},
		"/empty":     {{auth.Scheme: {}}},
	} {
		huma.Register(api, huma.Operation{OperationID: path[1:], Method: http.MethodGet, Path: path, Security: security},
			func(context.Context, *struct{}) (*struct{ Body string }, error) {
				return &struct{ Body string }{"here"}, nil
			})
	}
	after(api)
	return mux
}

func ask(h http.Handler, path string, c auth.Caller) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil).WithContext(auth.With(context.Background(), c)))
	return w
}

func TestAnOperationIsClosedUnlessTheCallerMeetsItsNeeds(t *testing.T) {
	t.Parallel()
	h := site(auth.Describe)
	for path, want := range map[string][5]int{ // nobody, a reader, a writer, an admin, anyone
		"/own":       {401, 200, 403, 200, 200},
		"/either":    {401, 200, 200, 200, 200},
		"/admin":     {401, 403, 403, 200, 200},
		"/open":      {200, 200, 200, 200, 200},
		"/forgotten": {401, 403, 403, 403, 200},
		"/foreign":   {401, 403, 403, 403, 200},
		"/empty":     {401, 403, 403, 403, 200},
	} {
		for i, c := range []auth.Caller{{}, auth.User("u", auth.Read), auth.User("u", auth.Write), auth.User("u", auth.Admin), auth.Anyone} {
			require.Equal(t, want[i], ask(h, path, c).Code, "%s, caller %d", path, i)
		}
	}
	w := ask(h, "/own", auth.Caller{})
	require.Equal(t, `Bearer realm="pas-de-trois"`, w.Header().Get("WWW-Authenticate"), "without a token there is no error code")
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	w = ask(h, "/either", auth.User("u"))
	require.Equal(t, `Bearer realm="pas-de-trois", error="insufficient_scope", error_description="the token needs the scope orders:read or orders:write", scope="orders:read orders:write"`,
		w.Header().Get("WWW-Authenticate"))
	require.Contains(t, w.Body.String(), "the token lacks the scope orders:read or orders:write")
}

func TestTheDocumentNamesTheNeeds(t *testing.T) {
	t.Parallel()
	body := ask(site(auth.Describe), "/openapi.json", auth.Caller{}).Body.String()
	for _, part := range []string{`"security":[{"login":["orders:read"]},{"login":["orders:write"]}]`, `"scheme":"bearer"`, `"401":`, `"403":`} {
		require.Contains(t, body, part)
	}
	body = ask(site(auth.Open), "/openapi.json", auth.Caller{}).Body.String()
	for _, part := range []string{`"security`, `"401":`, `"403":`} {
		require.NotContains(t, body, part, "a service without logins asks for none")
	}
}
