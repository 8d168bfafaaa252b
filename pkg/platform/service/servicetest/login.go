package servicetest

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/auth/authtest"
)

// As sends a request of the caller with a token, "" for nobody, and returns the status, the body and the header of the answer.
func (s *Service) As(token, method, url, body string) (int, string, http.Header) {
	s.T.Helper()
	req, err := http.NewRequestWithContext(s.T.Context(), method, url, strings.NewReader(body))
	require.NoError(s.T, err)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(s.T, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(s.T, err)
	return answer.StatusCode, string(text), answer.Header
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// NeedsLogin checks each operation of the public API: it names a scope, or is marked as public; without a token it is answered
// 401, and 403 with a token that has none of the scopes. It returns how many operations need a login.
func (s *Service) NeedsLogin(login *authtest.Server) (operations int) {
	s.T.Helper()
	s.Ready(http.StatusOK, `"login":"ok"`)
	none := login.Token("ada")
	status, text, _ := s.As("", http.MethodGet, s.Public+"/openapi.json", "")
	require.Equal(s.T, http.StatusOK, status, "the document is public")
	var document struct {
		Paths map[string]map[string]struct{ Security []map[string][]string }
	}
	require.NoError(s.T, json.Unmarshal([]byte(text), &document))
	for path, methods := range document.Paths {
		for method, op := range methods {
			method = strings.ToUpper(method)
			require.NotEmpty(s.T, op.Security, "%s %s neither Needs a scope nor is marked as Public", method, path)
			if len(op.Security[0]) == 0 {
				continue
			}
			operations++
			require.NotEmpty(s.T, op.Security[0][auth.Scheme], "%s %s", method, path)
			at := s.Public + parameter.ReplaceAllString(path, "x")
			status, text, header := s.As("", method, at, "")
			require.Equal(s.T, http.StatusUnauthorized, status, "%s %s: %s", method, path, text)
			require.Equal(s.T, `Bearer realm="pas-de-trois"`, header.Get("WWW-Authenticate"))
			status, text, header = s.As(none, method, at, "")
			require.Equal(s.T, http.StatusForbidden, status, "%s %s: %s", method, path, text)
			require.Contains(s.T, header.Get("WWW-Authenticate"), `error="insufficient_scope"`)
		}
	}
	return operations
}
