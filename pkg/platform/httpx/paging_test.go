package httpx

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestACursorIsThePositionThatItWasMadeOf(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 1, 2, 3, 456789000, time.UTC)
	for _, id := range []string{"o", "Bestellung/ä 17", strings.Repeat("\U0001F600", 128)} {
		var c Cursor[At]
		require.NoError(t, c.UnmarshalText([]byte(NewCursor(At{at, id}))))
		require.Equal(t, At{at, id}, c.Position)
	}
	for _, n := range []Number{1, 17, 999_999_999_999_999_999} {
		var c Cursor[Number]
		require.NoError(t, c.UnmarshalText([]byte(NewCursor(n))))
		require.Equal(t, n, c.Position)
	}
}

// accepts holds a cursor against its pattern: what the document allows is accepted, and what it does not allow is rejected.
func accepts[P Position[P]](t *rapid.T, c *Cursor[P], generated string) {
	pattern := regexp.MustCompile(c.Schema(nil).Pattern)
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(generated)).Filter(func(s string) bool { return s != "" }).Draw(t, "cursor")
	require.Equal(t, pattern.MatchString(text), c.UnmarshalText([]byte(text)) == nil, "%q", text)
}

func TestACursorIsAcceptedWhenItMeetsItsPattern(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c Cursor[At]
		accepts(t, &c, `(v2[.])?[0-9]{0,19}-?[0-9a-fA-F]{0,9}`)
		require.True(t, utf8.ValidString(c.Position.ID) && !strings.ContainsRune(c.Position.ID, 0), "%q", c.Position.ID)
	})
	rapid.Check(t, func(t *rapid.T) { accepts(t, &Cursor[Number]{}, `(v[23][.])?[+-]?[0-9]{0,20}`) })
	var c Cursor[At]
	require.NoError(t, c.UnmarshalText([]byte(cursorVersion+"1-"+hex.EncodeToString([]byte("a\x00\xffb")))))
	require.Equal(t, "a\uFFFD\uFFFDb", c.Position.ID, "Postgres accepts it")
}

// letters is a list of the letters a to e over HTTP.
func letters() http.Handler {
	api, handler := NewAPI("letters", "1", "test")
	Register(api, huma.Operation{OperationID: "list", Method: http.MethodGet, Path: "/letters", Errors: []int{400}},
		func(_ context.Context, in *struct{ Paging[Number] }) (*PageOutput[string], error) {
			all := []Number{1, 2, 3, 4, 5}[in.Cursor.Position:]
			return NewPage(all[:min(len(all), in.Limit+1)], in.Limit, func(n Number) string { return string(rune('a' + n - 1)) },
				func(n Number) Number { return n }), nil
		})
	return handler
}

func TestPagesTogetherHaveEveryItemOnce(t *testing.T) {
	t.Parallel()
	for limit, want := range map[string][]string{"1": {"a", "b", "c", "d", "e"}, "2": {"ab", "cd", "e"}, "5": {"abcde"}, "500": {"abcde"}} {
		var pages []string
		for query := (url.Values{"limit": {limit}}); ; {
			w := httptest.NewRecorder()
			letters().ServeHTTP(w, httptest.NewRequest("GET", "/letters?"+query.Encode(), nil))
			var page Page[string]
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page), w.Body)
			pages = append(pages, strings.Join(page.Items, ""))
			if page.NextCursor == "" {
				break
			}
			query.Set("cursor", page.NextCursor)
		}
		require.Equal(t, want, pages)
	}
}

// A client that pages while the service is upgraded hears what to do.
func TestACursorOfAnotherVersionIsRejected(t *testing.T) {
	t.Parallel()
	for _, cursor := range []string{"3", "v1.3", "v3.3", "1764464523456789-6f", "eyJDcmVhdGVkQXQiOiIyMDI2In0"} {
		w := httptest.NewRecorder()
		letters().ServeHTTP(w, httptest.NewRequest("GET", "/letters?cursor="+cursor, nil))
		text := problemOf(t, w.Result(), http.StatusBadRequest)
		require.Contains(t, text, "query.cursor")
		require.Contains(t, text, "begin at the first page")
	}
}

func TestAParameterThatBreaksARuleIsABadRequest(t *testing.T) {
	t.Parallel()
	for query, location := range map[string]string{"limit=0": "query.limit", "limit=501": "query.limit", "limit=many": "query.limit", "limit=": "query.limit",
		"limit=1&limit=2": "query.limit", "limit=%ff": "query.limit", "cursor=x": "query.cursor", "cursor=%00": "query.cursor"} {
		w := httptest.NewRecorder()
		letters().ServeHTTP(w, httptest.NewRequest("GET", "/letters?"+query, nil))
		require.Contains(t, problemOf(t, w.Result(), http.StatusBadRequest), location, query)
	}
}
