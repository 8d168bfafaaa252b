package rest_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A page in a browser must neither read topics nor move a consumer, under whatever name it reaches the server.
func TestPagesAndStrangeNamesAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, c := range map[string]struct {
		status  int
		headers []string
	}{
		"a name that leads here": {421, []string{"Host: evil.example"}},
		"a name that a page has": {421, []string{"Host: evil.example:8082", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}},
		"a fetch":                {403, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Origin: http://evil.example"}},
		"a picture":              {403, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}},
		"a link":                 {403, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}},
		"an old browser's fetch": {403, []string{"Origin: http://evil.example"}},
	} {
		for _, path := range []string{"/", "/topics", "/brokers", "/topics/orders", "/consumers/g/instances/i/records"} {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, nil)
				require.NoError(t, err)
				for _, header := range c.headers {
					key, value, _ := strings.Cut(header, ": ")
					r.Header.Set(key, value)
				}
				r.Host = cmp.Or(r.Header.Get("Host"), r.Host)
				answer, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				text, err := io.ReadAll(answer.Body)
				require.NoError(t, err)
				require.NoError(t, answer.Body.Close())
				require.Equal(t, c.status, answer.StatusCode, "%s: %s %s", name, method, path)
				require.Regexp(t, fmt.Sprintf(`^\{"error_code":%d(01)?,"message":"`, c.status), string(text), "the API's own format")
				require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
				require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
			}
		}
	}
}
