package service_test

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNobodyIsAskedOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	oidc := func(more ...string) map[string]string {
		environ := map[string]string{"AUTH": "oidc", "OIDC_ISSUER": "https://login.example.com", "OIDC_AUDIENCE": "things"}
		for i := 0; i < len(more); i += 2 {
			environ[more[i]] = more[i+1]
		}
		return environ
	}
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte(strings.Repeat("0123456789abcdef", 4)), 0o600))
	const public, both = ": set AUTH=oidc, or AUTH=off-on-purpose, or listen on 127.0.0.1", ": set AUTH=oidc and ADMIN_TOKEN_FILE, or AUTH=off-on-purpose, or listen on 127.0.0.1"
	const admin = ": set ADMIN_TOKEN_FILE, or AUTH=off-on-purpose, or listen on 127.0.0.1"
	for name, c := range map[string]struct {
		environ map[string]string
		open    string
	}{
		"the defaults":       {nil, ""},
		"loopback":           {map[string]string{"HTTP_ADDR": "127.0.0.1:1", "ADMIN_ADDR": "[::1]:2"}, ""},
		"localhost":          {map[string]string{"HTTP_ADDR": "localhost:1", "ADMIN_ADDR": "127.1.2.3:2"}, ""},
		"every address":      {map[string]string{"HTTP_ADDR": ":8080", "ADMIN_ADDR": ":9080"}, "HTTP_ADDR=:8080 and ADMIN_ADDR=:9080" + both},
		"public":             {map[string]string{"HTTP_ADDR": "0.0.0.0:8080"}, "HTTP_ADDR=0.0.0.0:8080" + public},
		"admin":              {map[string]string{"ADMIN_ADDR": "[::]:9080"}, "ADMIN_ADDR=[::]:9080" + admin},
		"admin with a token": {map[string]string{"ADMIN_ADDR": "[::]:9080", "ADMIN_TOKEN_FILE": token}, ""},
		"another address":    {map[string]string{"HTTP_ADDR": "192.0.2.1:8080"}, "HTTP_ADDR=192.0.2.1:8080" + public},
		"a name":             {map[string]string{"HTTP_ADDR": "things.example.com:8080"}, "HTTP_ADDR=things.example.com:8080" + public},
		"mapped":             {map[string]string{"HTTP_ADDR": "[::ffff:192.0.2.1]:8080"}, "HTTP_ADDR=[::ffff:192.0.2.1]:8080" + public},
		"on purpose":         {map[string]string{"HTTP_ADDR": ":8080", "ADMIN_ADDR": ":9080", "AUTH": "off-on-purpose"}, ""},
		"with a login":       {oidc("HTTP_ADDR", ":8080"), ""},
		"with both":          {oidc("HTTP_ADDR", ":8080", "ADMIN_ADDR", ":9080", "ADMIN_TOKEN_FILE", token), ""},
		"a login, and the admin port is open": {oidc("HTTP_ADDR", ":8080", "ADMIN_ADDR", ":9080"),
			"ADMIN_ADDR=:9080: set ADMIN_TOKEN_FILE, or listen on 127.0.0.1"},
	} {
		environ := map[string]string{"DATABASE_URL": someDatabase}
		maps.Copy(environ, c.environ)
		err := parse(t, environ).Validate()
		if c.open == "" {
			require.NoError(t, err, name)
			continue
		}
		require.EqualError(t, err, "nobody is asked who calls, and other machines reach "+c.open, name)
	}

	l, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	defer l.Close()
	cfg := parse(t, map[string]string{"DATABASE_URL": someDatabase})
	cfg.HTTPListener = l
	require.ErrorContains(t, cfg.Validate(), "HTTP_ADDR="+l.Addr().String(), "the listener counts, not the address")
}
