package auth_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/auth/authtest"
	"pasdetrois/pkg/platform/service/servicetest"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// door is a handler behind a Login, with a clock that the test sets.
type door struct {
	t      *testing.T
	server *authtest.Server
	login  *auth.Login
	inner  http.Handler
	clock  atomic.Int64
}

func (d *door) now() time.Time          { return time.Unix(0, d.clock.Load()) }
func (d *door) pass(more time.Duration) { d.clock.Add(int64(more)) }

// setup starts a login server, and a Login that has its keys unless the server is away.
func setup(t *testing.T, change ...func(*auth.Settings)) *door {
	t.Helper()
	d := &door{t: t, server: authtest.Start(t)}
	d.run(change...)
	d.fetched()
	return d
}

func (d *door) run(change ...func(*auth.Settings)) {
	d.clock.Store(time.Now().UnixNano())
	s := d.server.Settings()
	for _, c := range change {
		c(&s)
	}
	d.login = auth.New(s, d.now, slog.New(slog.NewTextHandler(io.Discard, nil)))
	d.login.Pauses(time.Hour, 50*time.Millisecond)
	servicetest.Background(d.t, d.login.Run)
	d.inner = d.login.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = "GET /whoami"
		c := auth.Of(r.Context())
		_ = json.NewEncoder(w).Encode(map[string]any{"user": c.User, "reads": c.May(auth.Read), "writes": c.May(auth.Write), "admin": c.May(auth.Admin)})
	}))
}

// fetched waits until the keys are there.
func (d *door) fetched() {
	d.t.Helper()
	testkit.Eventually(d.t, func() error { return d.login.Check(d.t.Context()) })
}

func (d *door) ask(token string) *httptest.ResponseRecorder {
	return d.do(http.MethodGet, "Authorization", "Bearer "+token)
}

func (d *door) do(method string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/whoami", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.inner.ServeHTTP(w, r)
	return w
}

func (d *door) accepts(token string, parts ...string) {
	d.t.Helper()
	w := d.ask(token)
	require.Equal(d.t, http.StatusOK, w.Code, w.Body)
	for _, part := range parts {
		require.Contains(d.t, w.Body.String(), part)
	}
}

func (d *door) refuses(token, why string) {
	d.t.Helper()
	for range 2 { // a refused token is not remembered as a good one
		w := d.ask(token)
		require.Equal(d.t, http.StatusUnauthorized, w.Code, w.Body)
		require.Contains(d.t, w.Body.String(), why)
		require.Equal(d.t, `Bearer realm="pas-de-trois", error="invalid_token", error_description="the token is not accepted"`, w.Header().Get("WWW-Authenticate"))
		require.Equal(d.t, "application/problem+json", w.Header().Get("Content-Type"))
	}
}
