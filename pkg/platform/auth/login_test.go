package auth_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/auth/authtest"
	"pasdetrois/pkg/platform/service/servicetest"
	"pasdetrois/pkg/platform/testkit"
)

func TestKeysAreFetchedAnewForAnUnknownOneButSeldom(t *testing.T) {
	t.Parallel()
	d := setup(t)
	before := d.server.Token("ada")
	d.accepts(before)
	d.server.Rotate(jose.RS256)
	after := d.server.Token("ada")
	d.refuses(after, "no such key") // the keys came a moment ago: an inventor of key ids causes no request each
	d.pass(auth.RefreshAfter)
	d.accepts(after)
	d.accepts(before)

	d.server.Withdraw()
	d.server.Rotate(jose.EdDSA)
	d.pass(auth.RefreshAfter)
	d.accepts(d.server.Token("ada"))
	d.accepts(after)
	d.refuses(before, "no such key") // its key was withdrawn
}

func TestKeysStayInUseWhileTheLoginServerIsAway(t *testing.T) {
	t.Parallel()
	d := setup(t)
	token := d.server.Token("ada")
	d.server.Rotate(jose.RS256)
	unknown := d.server.Token("ada")
	d.server.Away(true)
	d.pass(auth.RefreshAfter)
	for range 2 {
		w := d.ask(unknown)
		require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
		require.Equal(t, "5", w.Header().Get("Retry-After"))
		d.accepts(token)
	}
	var passed interface{ Passed() bool }
	err := d.login.Check(t.Context())
	require.ErrorAs(t, err, &passed)
	require.ErrorContains(t, err, "the keys of the login server "+d.server.URL+" cannot be fetched")
	d.server.Away(false)
	d.pass(auth.RefreshAfter)
	d.accepts(unknown)
	require.NoError(t, d.login.Check(t.Context()))
}

func TestALoginServerMayStartLater(t *testing.T) {
	t.Parallel()
	d := &door{t: t, server: authtest.Start(t)}
	token := d.server.Token("ada")
	d.server.Away(true)
	d.run()
	w := d.ask(token)
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	require.ErrorContains(t, d.login.Check(t.Context()), "cannot be fetched")
	require.Equal(t, http.StatusOK, d.do(http.MethodGet).Code, "nobody may ask for what is public")
	d.server.Away(false)
	testkit.Eventually(t, func() error {
		d.pass(auth.RefreshAfter)
		return d.login.Check(t.Context())
	})
	d.accepts(token)
}

func TestRequestsWithoutATokenAreNobodys(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, header := range [][]string{nil, {"Authorization", "Basic YTpi"}, {"Authorization", "Bearer "}, {"Authorization", ""}} {
		w := d.do(http.MethodGet, header...)
		require.Equal(t, http.StatusOK, w.Code)
		require.Contains(t, w.Body.String(), `"user":"","writes":false`)
		w = d.do(http.MethodPost, header...)
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.Equal(t, `Bearer realm="pas-de-trois"`, w.Header().Get("WWW-Authenticate"))
	}
	token := d.server.Token("ada")
	require.Equal(t, http.StatusOK, d.do(http.MethodPost, "Authorization", "bearer "+token).Code, "the scheme's case is free")
	w := d.do(http.MethodGet, "Authorization", "Bearer "+token, "Authorization", "Bearer "+token)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Header().Get("WWW-Authenticate"), `error="invalid_request"`)

	r := httptest.NewRequest(http.MethodGet, "/whoami?access_token="+token, nil)
	rec := httptest.NewRecorder()
	d.inner.ServeHTTP(rec, r)
	require.Contains(t, rec.Body.String(), `"user":""`, "addresses end up in logs: a token there does not count")
	require.Equal(t, "GET /whoami", r.Pattern, "metrics read the route")
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	d := setup(t)
	var left time.Duration
	h := d.login.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		end, ok := r.Context().Deadline()
		require.Equal(t, r.Header.Get("Accept") != "application/json", ok)
		if !ok {
			return
		}
		left = time.Until(end)
	}))
	c := d.server.Claims(d.now(), "ada")
	c["exp"] = d.now().Add(time.Minute).Unix()
	for _, accept := range []string{"application/json", "text/event-stream", "TEXT/EVENT-STREAM", "application/json, Text/Event-Stream;q=0.9"} {
		left = 0
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept", accept)
		r.Header.Set("Authorization", "Bearer "+d.server.Sign(c))
		h.ServeHTTP(httptest.NewRecorder(), r)
		if accept != "application/json" {
			require.InDelta(t, 2*time.Minute, left, float64(30*time.Second), accept)
		}
	}
}

func TestKeysComeOnlyFromWhereNobodyCanChangeThem(t *testing.T) {
	t.Parallel()
	server := authtest.Start(t)
	// A login server on loopback whose document names keys elsewhere.
	mux := http.NewServeMux()
	elsewhere := httptest.NewServer(mux)
	t.Cleanup(elsewhere.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"issuer":"` + elsewhere.URL + `","jwks_uri":"http://keys.example.com/keys"}`))
	})
	s := server.Settings()
	s.Issuer = elsewhere.URL
	login := auth.New(s, time.Now, slog.New(slog.DiscardHandler))
	servicetest.Background(t, login.Run)
	testkit.Eventually(t, func() error {
		if err := login.Check(t.Context()); !strings.Contains(err.Error(), "has no https://") {
			return err
		}
		return nil
	})
}

// Whoever invents signatures makes no requests to the login server, and a fetch that brings the same keys forgets no token.
func TestKnownKeysAreNotFetchedAnew(t *testing.T) {
	t.Parallel()
	d := setup(t)
	token := d.server.Token("ada")
	d.accepts(token)
	d.pass(auth.RefreshAfter)
	d.server.Away(true)
	cut := strings.LastIndex(token, ".") + 1
	d.refuses(token[:cut]+strings.Repeat("A", len(token)-cut), "no such key")
	d.server.Away(false)
	d.pass(auth.RefreshAfter)
	require.NoError(t, d.login.Fetch(t.Context()))
	require.Equal(t, 1, d.login.Remembered())
}
