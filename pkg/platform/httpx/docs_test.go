package httpx

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	referred = regexp.MustCompile(`(?i)\b(?:src|href|action|data-[a-z-]+|content)\s*=\s*["']?([^"'\s>]+)`)
	imported = regexp.MustCompile(`(?i)(?:url\(|@import)\s*["']?([^"')\s]+)`)
	absolute = regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9]`)
)

// The page has to work where only the service itself can be reached.
func TestTheDocumentationNeedsNoOutsideHost(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(setup(t).handler)
	t.Cleanup(server.Close)
	get := func(at string) (string, http.Header) {
		resp, err := server.Client().Get(server.URL + at)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode, at)
		require.NotEmpty(t, body, at)
		return string(body), resp.Header
	}

	for _, page := range []string{"/docs", "/docs/"} {
		html, header := get(page)
		require.Contains(t, header.Get("Content-Type"), "text/html")
		base, err := url.Parse(page)
		require.NoError(t, err)
		kinds := map[string]int{}
		for _, m := range append(referred.FindAllStringSubmatch(html, -1), imported.FindAllStringSubmatch(html, -1)...) {
			target, err := base.Parse(m[1])
			require.NoError(t, err, m[0])
			require.Empty(t, target.Host, "%s refers to another host: %s", page, m[0])
			if m[0][0] == 'c' { // a meta element's content is text
				continue
			}
			asset, _ := get(target.Path)
			kinds[path.Ext(target.Path)]++
			if path.Ext(target.Path) == ".css" {
				for _, m := range imported.FindAllStringSubmatch(asset, -1) {
					require.Regexp(t, `^(data:|#)`, m[1], "a style sheet fetches what it needs from elsewhere")
				}
			}
		}
		require.Equal(t, map[string]int{".css": 1, ".js": 2, ".png": 2}, kinds)
		require.Contains(t, html, `"swaggerJsonUrl":"/openapi.json"`)
		// What is fetched by script: a validator of the library's maker is its default.
		require.Contains(t, html, "validatorUrl: null")
	}
}

func TestTheDescriptionNeedsNoOutsideHost(t *testing.T) {
	t.Parallel()
	resp := setup(t).do("GET", "/openapi.json", "")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var document any
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&document))
	root := document.(map[string]any)
	require.Regexp(t, `^3\.1\.`, root["openapi"])
	require.Contains(t, root["paths"], "/things")
	walk(document, func(key, value string) {
		// Examples and media types may look like addresses; what a client follows may not be one.
		if key == "$ref" || key == "$schema" || key == "url" || key == "externalValue" || key == "operationRef" {
			require.NotRegexp(t, absolute, value, key)
		}
	})
}

func TestAnswersCarryNoReferencesOfTheFramework(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, resp := range []*http.Response{s.do("POST", "/things", `{"name":"a"}`), s.do("GET", "/away", ""), s.do("POST", "/things", `{}`)} {
		require.Empty(t, resp.Header.Get("Link"))
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NotContains(t, string(body), "$schema")
	}
}

func walk(v any, visit func(key, value string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if text, ok := inner.(string); ok {
				visit(key, text)
			}
			walk(inner, visit)
		}
	case []any:
		for _, inner := range v {
			walk(inner, visit)
		}
	}
}
