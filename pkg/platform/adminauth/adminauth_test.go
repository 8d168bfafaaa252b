package adminauth_test

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/adminauth"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/testkit"
)

func registry() prometheus.Gatherer { return prometheus.NewRegistry() }

func serveHTTP(ctx context.Context, l net.Listener, handler http.Handler) error {
	return httpx.Server{Handler: handler, Log: slog.New(slog.DiscardHandler)}.Serve(ctx, l)
}

// everything is what an admin server has beside its operations.
var everything = []string{"/livez", "/readyz", "/metrics", "/debug/pprof/", "/debug/pprof/heap", "/openapi.json", "/consumers", "/",
	"//livez", "/livez/", "/x/../livez", "/livez/../consumers", "/Livez", "/metrics/", "/readyz/x"}

func TestWhoMayReadWhat(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	cert, key := ca.server()
	ada, eve, ofServer := ca.client("ada"), other.client("ada"), ca.client("admin", func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	late := ca.client("late", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })
	tokens := write(t, oldToken+"\n"+newToken+"\n")
	plain := serve(t, adminauth.Settings{TokenFile: tokens, MetricsTokenFile: write(t, metricsToken)}, nil)
	secured := serve(t, adminauth.Settings{TokenFile: tokens, CertFile: cert, KeyFile: key, ClientCAFile: ca.path}, ca)
	for name, c := range map[string]struct {
		by     caller
		status int // of what needs an operator; 0: the handshake fails
		is     string
	}{
		"nobody":              {caller{}, 401, ""},
		"wrong token":         {with(wrongToken), 401, ""},
		"empty token":         {with(""), 401, ""},
		"both tokens":         {with(oldToken + "," + newToken), 401, ""},
		"another scheme":      {caller{headers: []string{"Basic " + oldToken}}, 401, ""},
		"two headers":         {caller{headers: []string{"Bearer " + oldToken, "Bearer " + oldToken}}, 401, ""},
		"the metrics' token":  {with(metricsToken), 401, ""},
		"old token":           {with(oldToken), 200, "admin token 3eb1bd43"},
		"new token":           {with(newToken), 200, "admin token "},
		"certificate":         {caller{cert: &ada}, 200, "certificate:CN=ada"},
		"wrong, certificate":  {caller{headers: []string{"Bearer " + wrongToken}, cert: &ada}, 401, ""},
		"another authority's": {caller{cert: &eve}, 0, ""},
		"a server's":          {caller{cert: &ofServer}, 0, ""},
		"an expired one":      {caller{cert: &late}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range []*server{plain, secured} {
				if s == plain && c.by.cert != nil {
					continue
				}
				for _, path := range everything {
					status, body, header := s.ask(path, c.by)
					open := path == "/livez" || path == "/readyz" || path == "/metrics" && (s == secured || name == "the metrics' token")
					switch {
					case c.status == 0:
						require.Zero(t, status, path)
					case c.status == 401 && !open:
						require.Equal(t, 401, status, path)
						require.Contains(t, header.Get("WWW-Authenticate"), `Bearer realm="admin"`)
						require.Equal(t, "application/problem+json", header.Get("Content-Type"))
						for _, token := range []string{oldToken, newToken, wrongToken} {
							require.NotContains(t, body, token)
						}
					case path == "/readyz":
						require.Equal(t, 503, status)
						require.Equal(t, c.status == 200, strings.Contains(body, "unexpected EOF"), "a stranger sees names alone: %s", body)
						require.Contains(t, body, "database")
					case path == "/consumers":
						require.Equal(t, 200, status)
						require.Contains(t, body, c.is)
					default:
						require.NotEqual(t, 401, status, path)
					}
				}
			}
		})
	}
}

func TestWithoutASettingEverybodyIsAnOperator(t *testing.T) {
	t.Parallel()
	s := serve(t, adminauth.Settings{}, nil)
	for _, by := range []caller{{}, with(wrongToken)} {
		status, body, _ := s.ask("/consumers", by)
		require.Equal(t, "anyone", body)
		require.Equal(t, 200, status)
		_, body, _ = s.ask("/readyz", by)
		require.Contains(t, body, "unexpected EOF")
	}
	ca := newAuthority(t)
	cert, key := ca.server()
	s = serve(t, adminauth.Settings{CertFile: cert, KeyFile: key}, ca)
	_, body, _ := s.ask("/consumers", caller{})
	require.Equal(t, "anyone", body)
}

func TestATokenIsExchangedWithoutARestart(t *testing.T) {
	t.Parallel()
	file := write(t, oldToken)
	s := serve(t, adminauth.Settings{TokenFile: file}, nil)
	status := func(token string) int {
		status, _, _ := s.ask("/consumers", with(token))
		return status
	}
	becomes := func(content string, old, exchanged int) {
		t.Helper()
		next := file + ".next" // as kubelet does: a reader never sees half a file
		require.NoError(t, os.WriteFile(next, []byte(content), 0o600))
		require.NoError(t, os.Rename(next, file))
		testkit.Eventually(t, func() error {
			if status(oldToken) == old && status(newToken) == exchanged {
				return nil
			}
			return os.ErrDeadlineExceeded
		})
	}
	require.Equal(t, 401, status(newToken))
	becomes(oldToken+"\n"+newToken, 200, 200)
	becomes(newToken, 401, 200)
	looked := func(says string) {
		t.Helper()
		testkit.Eventually(t, func() error {
			if status(newToken) != 200 {
				t.Fatal("a file that cannot be used locks nobody out")
			}
			if !s.log.has(says) {
				return errors.New("the file was not looked at: " + says)
			}
			return nil
		})
	}
	require.NoError(t, os.WriteFile(file, []byte("short"), 0o600))
	looked("a token of 5 characters")
	require.NoError(t, os.Remove(file))
	looked("no such file")
	becomes(oldToken+"\n", 200, 401)
}

func TestAnAuthorityIsExchangedWithoutARestart(t *testing.T) {
	t.Parallel()
	ca, next := newAuthority(t), newAuthority(t)
	cert, key := ca.server()
	trusted := write(t, pemOf("CERTIFICATE", ca.parsed().Raw))
	s := serve(t, adminauth.Settings{CertFile: cert, KeyFile: key, ClientCAFile: trusted}, ca)
	before, after := ca.client("ada"), next.client("ada")
	status, _, _ := s.ask("/consumers", caller{cert: &before})
	require.Equal(t, 200, status)
	require.NoError(t, os.WriteFile(trusted, []byte(pemOf("CERTIFICATE", next.parsed().Raw)), 0o600))
	testkit.Eventually(t, func() error {
		if status, _, _ := s.ask("/consumers", caller{cert: &after}); status != 200 {
			return os.ErrDeadlineExceeded
		}
		return nil
	})
	status, _, _ = s.ask("/consumers", caller{cert: &before})
	require.Zero(t, status)
}

func TestALocalUserNeedsNoToken(t *testing.T) {
	t.Parallel()
	s := serve(t, adminauth.Settings{TokenFile: write(t, oldToken), LocalUser: true}, nil)
	status, body, _ := s.ask("/consumers", caller{})
	require.Equal(t, 200, status)
	require.Equal(t, "local user", body)
	status, _, _ = s.ask("/consumers", with(wrongToken))
	require.Equal(t, 401, status, "a wrong token is a mistake that its sender should hear of")
}

func TestBadSettingsAreOneLineEach(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.server()
	readable := write(t, oldToken)
	require.NoError(t, os.Chmod(readable, 0o644))
	readableKey := write(t, "key")
	require.NoError(t, os.Chmod(readableKey, 0o640))
	for _, c := range []struct {
		settings adminauth.Settings
		says     string
	}{
		{adminauth.Settings{TokenFile: "/nowhere"}, "ADMIN_TOKEN_FILE: open /nowhere: no such file"},
		{adminauth.Settings{TokenFile: readable}, "ADMIN_TOKEN_FILE: " + readable + " has the mode 0644, so others may read it: chmod 600 "},
		{adminauth.Settings{TokenFile: write(t, oldToken[:31])}, "ADMIN_TOKEN_FILE: line 1 of "},
		{adminauth.Settings{TokenFile: write(t, oldToken+"\n"+newToken[:31])}, "a token of 31 characters is too short: give 32 or more"},
		{adminauth.Settings{TokenFile: write(t, "")}, "has 0 lines instead of one token"},
		{adminauth.Settings{TokenFile: write(t, strings.Repeat(oldToken+"\n", 3))}, "has 3 lines instead of one token"},
		{adminauth.Settings{TokenFile: write(t, oldToken), MetricsTokenFile: write(t, "short")}, "METRICS_TOKEN_FILE: line 1 of "},
		{adminauth.Settings{MetricsTokenFile: write(t, metricsToken)}, "METRICS_TOKEN_FILE needs ADMIN_TOKEN_FILE or ADMIN_TLS_CLIENT_CA: "},
		{adminauth.Settings{ClientCAFile: ca.path}, "ADMIN_TLS_CERT_FILE is empty: "},
		{adminauth.Settings{CertFile: cert}, "ADMIN_TLS_KEY_FILE is empty: "},
		{adminauth.Settings{KeyFile: key}, "ADMIN_TLS_CERT_FILE is empty: "},
		{adminauth.Settings{CertFile: cert, KeyFile: "/nowhere"}, "ADMIN_TLS_KEY_FILE: open /nowhere: "},
		{adminauth.Settings{CertFile: cert, KeyFile: readableKey}, "ADMIN_TLS_KEY_FILE: " + readableKey + " has the mode 0640"},
		{adminauth.Settings{CertFile: cert, KeyFile: write(t, "x")}, "ADMIN_TLS_CERT_FILE and ADMIN_TLS_KEY_FILE: "},
		{adminauth.Settings{CertFile: cert, KeyFile: key, ClientCAFile: write(t, "x")}, "ADMIN_TLS_CLIENT_CA: "},
	} {
		err := c.settings.Validate()
		require.ErrorContains(t, err, c.says)
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), oldToken[:31])
	}
}
