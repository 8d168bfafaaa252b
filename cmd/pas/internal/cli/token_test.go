package cli_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPasSendsTheTokenOfItsUser(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, `{"status":401,"detail":"log in"}`)
			return
		}
		_, _ = fmt.Fprint(w, `{"items":[]}`)
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte("secret\n"), 0o600))
	open := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(open, []byte("secret\n"), 0o644))
	for name, c := range map[string]struct {
		environ map[string]string
		code    int
		says    string
	}{
		"file":               {map[string]string{"PAS_TOKEN_FILE": path}, 0, ""},
		"variable":           {map[string]string{"PAS_TOKEN": "secret"}, 0, ""},
		"none":               {nil, 1, "orders answered 401: log in; set PAS_TOKEN_FILE to a file that has a valid token of the login server, or PAS_TOKEN to the token"},
		"another":            {map[string]string{"PAS_TOKEN": "other"}, 1, "orders answered 401: log in; set PAS_TOKEN_FILE"},
		"both":               {map[string]string{"PAS_TOKEN": "secret", "PAS_TOKEN_FILE": path}, 2, "PAS_TOKEN and PAS_TOKEN_FILE are both set: keep one"},
		"no file":            {map[string]string{"PAS_TOKEN_FILE": path + "x"}, 2, "PAS_TOKEN_FILE: "},
		"no token":           {map[string]string{"PAS_TOKEN": "a b"}, 2, "PAS_TOKEN: there is no token: write the access token alone"},
		"readable by others": {map[string]string{"PAS_TOKEN_FILE": open}, 2, "PAS_TOKEN_FILE: " + open + " has the mode 0644, so others may read it: chmod 600 " + open},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := map[string]string{"PAS_ORDERS_URL": server.URL}
			for k, v := range c.environ {
				environ[k] = v
			}
			got := pas(t, environ, "inventory")
			require.Equal(t, c.code, got.code, got.stderr)
			if c.says != "" {
				require.Contains(t, got.oneLine(t), c.says)
				require.NotContains(t, got.stderr, "secret ")
			}
		})
	}
}

func TestPasSendsTheAdminTokenToAdminAPIsOnly(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef0123456789abcdef"
	answers := func(want string, refused int) *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.Header.Get("Authorization") != want {
				w.WriteHeader(refused)
				_, _ = fmt.Fprint(w, `{"status":401,"detail":"who are you"}`)
				return
			}
			_, _ = fmt.Fprint(w, `{"items":[]}`)
		}))
		t.Cleanup(server.Close)
		return server
	}
	admin, public := answers("Bearer "+token, http.StatusUnauthorized), answers("", http.StatusTeapot)
	write := func(content string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	two, open := write("ffffffffffffffffffffffffffffffff\n"+token+"\n", 0o600), write(token, 0o644)
	for name, c := range map[string]struct {
		environ map[string]string
		code    int
		says    string
	}{
		"file":               {map[string]string{"PAS_ADMIN_TOKEN_FILE": two}, 0, ""},
		"variable":           {map[string]string{"PAS_ADMIN_TOKEN": token}, 0, ""},
		"none":               {nil, 1, "orders answered 401: who are you; set PAS_ADMIN_TOKEN_FILE to the file with the service's admin token, or PAS_ADMIN_TOKEN to the token"},
		"a user's":           {map[string]string{"PAS_TOKEN": token}, 1, "orders answered 401: who are you; set PAS_ADMIN_TOKEN_FILE"},
		"both":               {map[string]string{"PAS_ADMIN_TOKEN": token, "PAS_ADMIN_TOKEN_FILE": two}, 2, "PAS_ADMIN_TOKEN and PAS_ADMIN_TOKEN_FILE are both set: keep one"},
		"no file":            {map[string]string{"PAS_ADMIN_TOKEN_FILE": two + "x"}, 2, "PAS_ADMIN_TOKEN_FILE: "},
		"empty file":         {map[string]string{"PAS_ADMIN_TOKEN_FILE": write("\n", 0o600)}, 2, "is empty"},
		"too short":          {map[string]string{"PAS_ADMIN_TOKEN": token[1:]}, 2, "PAS_ADMIN_TOKEN: a token of 31 characters is too short"},
		"readable by others": {map[string]string{"PAS_ADMIN_TOKEN_FILE": open}, 2, "PAS_ADMIN_TOKEN_FILE: " + open + " has the mode 0644"},
		"half a certificate": {map[string]string{"PAS_ADMIN_TLS_CERT_FILE": two}, 2, "PAS_ADMIN_TLS_CERT_FILE and PAS_ADMIN_TLS_KEY_FILE belong together: set both"},
		"no authority":       {map[string]string{"PAS_ADMIN_TLS_CA_FILE": two}, 2, "has no certificate in it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := everywhere(public.URL)
			for k := range environ {
				if strings.HasSuffix(k, "_ADMIN_URL") {
					environ[k] = admin.URL
				}
			}
			maps.Copy(environ, c.environ)
			got := pas(t, environ, "audit", "log")
			require.Equal(t, c.code, got.code, got.stderr)
			require.NotContains(t, got.stderr, token[1:])
			if c.says != "" {
				require.Contains(t, got.oneLine(t), c.says)
				return
			}
			require.Equal(t, "No entries.\n", got.stdout)
			delete(environ, "PAS_TOKEN")
			require.Equal(t, 0, pas(t, environ, "inventory").code, "a public API gets no admin token")
		})
	}
}
