package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
