package client

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// door is a service that accepts one token on its public API, and counts the requests.
func door(t *testing.T) (c *Client, accepts *atomic.Value, asked *atomic.Int64) {
	t.Helper()
	accepts, asked = &atomic.Value{}, &atomic.Int64{}
	accepts.Store("")
	c = setup(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		switch got := r.Header.Get("Authorization"); {
		case r.URL.Path == "/readyz":
			require.Empty(t, got, "an admin API gets no user's token")
		case got != "Bearer "+accepts.Load().(string):
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, `{"status":401,"detail":"the token has expired"}`)
			return
		}
		_, _ = fmt.Fprint(w, "{}")
	})
	return c, accepts, asked
}

func written(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path)) // as those who hand out tokens do
}

func TestATokenIsReadAnewWhenItsFileChanges(t *testing.T) {
	t.Parallel()
	c, accepts, asked := door(t)
	path := filepath.Join(t.TempDir(), "token")
	written(t, path, "one\n")
	token, err := TokenFile(path)
	require.NoError(t, err)
	c.SetToken(token)
	order := func() error { _, err := c.Order(t.Context(), "o", 0); return err }

	accepts.Store("one")
	require.NoError(t, order())
	written(t, path, "Bearer two\n")
	accepts.Store("two")
	require.NoError(t, order())
	require.EqualValues(t, 2, asked.Load())
	require.NoError(t, c.Ready(t.Context(), Orders))

	// A file that was written in place, so fast that its times are the same: the refusal has it read.
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("Bearer six\n"), 0o600))
	require.NoError(t, os.Chtimes(path, time.Now(), info.ModTime()))
	accepts.Store("six")
	require.NoError(t, order())
	require.EqualValues(t, 5, asked.Load(), "a refused token and the next one")

	accepts.Store("another")
	err = order()
	require.Equal(t, http.StatusUnauthorized, StatusOf(err))
	require.EqualValues(t, 6, asked.Load(), "the same token is not sent twice")
	var p *Problem
	require.ErrorAs(t, err, &p)
	require.Contains(t, p.Hint(), "PAS_TOKEN_FILE")

	require.NoError(t, os.Chmod(path, 0o640))
	written(t, path, "seven")
	require.NoError(t, os.Chmod(path, 0o644))
	err = order()
	require.ErrorContains(t, err, "chmod 600 "+path)
	require.NoError(t, os.Remove(path))
	require.ErrorContains(t, order(), "read the token: ")
}

func TestATokenIsOneWord(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"", " \n", "Bearer ", "a b", "a\nb", "ä"} {
		_, err := FixedToken(wrong)
		require.ErrorContains(t, err, "there is no token", "%q", wrong)
		path := filepath.Join(t.TempDir(), "token")
		written(t, path, wrong)
		_, err = TokenFile(path)
		require.ErrorContains(t, err, "there is no token", "%q", wrong)
	}
	c, accepts, _ := door(t)
	accepts.Store("x.y-z_~+/=")
	token, err := FixedToken(" bearer x.y-z_~+/= ")
	require.NoError(t, err)
	c.SetToken(token)
	_, err = c.Order(t.Context(), "o", 0)
	require.NoError(t, err)
}

func TestAMissingScopeIsSaid(t *testing.T) {
	t.Parallel()
	c := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `{"status":403,"detail":"the token lacks the scope orders:read"}`)
	})
	_, err := c.Order(t.Context(), "o", 0)
	var p *Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, "log in with that scope; the login server's operator decides who may have it", p.Hint())
}
