package httpx

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestBodiesThatDecodersDisagreeAboutAreRefused(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"no JSON":                        {`name=a`, 400, "acceptable JSON"},
		"cut off":                        {`{"name":"a"`, 400, "acceptable JSON: expected , or } in an object"},
		"cut off in a string":            {`{"name":"a`, 400, "acceptable JSON: a text without end"},
		"comma too many":                 {`{"name":"a",}`, 400, "acceptable JSON"},
		"comma missing":                  {`{"parts":["a" "b"]}`, 400, "acceptable JSON"},
		"control character in a string":  {"{\"name\":\"a\nb\"}", 400, "acceptable JSON"},
		"invalid UTF-8":                  {"{\"name\":\"\xff\"}", 400, "UTF-8"},
		"two byte order marks":           {"\ufeff\ufeff{\"name\":\"a\"}", 400, "acceptable JSON"},
		"half a surrogate pair":          {`{"name":"\ud83d"}`, 400, "a bad escape sequence"},
		"two first halves":               {`{"name":"\ud83d\ud83d"}`, 400, "a bad escape sequence"},
		"half a surrogate pair in a key": {`{"name":"a","\udead":1}`, 400, "a bad escape sequence"},
		"half a pair behind a backslash": {`{"name":"\\\udead"}`, 400, "a bad escape sequence"},
		"key twice":                      {`{"name":"a","name":"b"}`, 400, `the key \"name\" stands twice`},
		"key twice, once escaped":        {`{"name":"a","n\u0061me":"b"}`, 400, `the key \"name\" stands twice`},
		"key twice, further in":          {`{"parts":[{"a":1,"a":2}]}`, 400, `\"a\" stands twice`},
		"key twice, in another case":     {`{"name":"a","NAME":"b"}`, 422, "NAME"},
		"key in another case":            {`{"Name":"a"}`, 422, "Name"},
		"two values":                     {`{"name":"a"}{"name":"b"}`, 400, "there is more behind the value"},
		"something after the value":      {`{"name":"a"} x`, 400, "there is more behind the value"},
		"a number beyond all floats":     {`{"name":"a","count":1e400}`, 400, `the number 1e400 of \"count\" is out of range`},
		"nested too deep":                {deep(100), 400, "nested deeper than 32"},
		"nested very deep":               {deep(30_000), 400, "nested deeper than 32"},
		"unknown field":                  {`{"name":"a","colour":"red"}`, 422, "body.colour"},
		"missing field":                  {`{"count":1}`, 422, "name"},
		"wrong type":                     {`{"name":1}`, 422, "body.name"},
		"out of bounds":                  {`{"name":"a","count":10}`, 422, "body.count"},
		"no object":                      {`[]`, 422, "body"},
		"null":                           {`null`, 422, "body"},
		"too large":                      {`{"name":"` + strings.Repeat("a", 64<<10) + `"}`, 413, "65536 bytes"},
		"too large by blanks":            {`{"name":"a"}` + strings.Repeat(" ", 64<<10), 413, "65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			require.Contains(t, problemOf(t, s.do("POST", "/things", c.body, "Content-Type", "application/json"), c.status), c.says)
			require.Empty(t, s.taken)
		})
	}
}

func TestBodiesUpToTheLimitsAreTaken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	largest := `{"name":"a"}` + strings.Repeat(" ", 64<<10-len(`{"name":"a"}`))
	for _, body := range []string{"\ufeff{\"name\":\"a\"}", `{"name":"\\ud83d"}`, `{"name":"a"}`, " {\n\"name\" : \"\\ud83d\\ude00\"}\n", `{"name":"a","count":9,"parts":[]}`, largest} {
		resp := s.do("POST", "/things", body, "Content-Type", "application/json")
		require.Equal(t, http.StatusNoContent, resp.StatusCode, body)
	}
	require.Len(t, s.taken, 6)
}

func TestOnlyJSONIsTakenForJSON(t *testing.T) {
	t.Parallel()
	const body = `{"name":"a"}`
	for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
		"application/xml", "json"} {
		s := setup(t)
		require.Contains(t, problemOf(t, s.do("POST", "/things", body, "Content-Type", media), 415), "application/json")
		require.Empty(t, s.taken, media)
	}
	for _, media := range []string{"application/json", "Application/JSON ; charset=utf-8", "application/merge-patch+json"} {
		s := setup(t)
		require.Equal(t, http.StatusNoContent, s.do("POST", "/things", body, "Content-Type", media).StatusCode, media)
		require.Equal(t, []string{"a"}, s.taken)
	}
}

func TestABodyThatBreaksOffIsTheClientsMistake(t *testing.T) {
	t.Parallel()
	s := setup(t)
	r := httptest.NewRequest("POST", "/things", iotest.ErrReader(errors.New("broken pipe")))
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	require.NotContains(t, problemOf(t, w.Result(), 400), "pipe")
}

func TestTheBodyReachesTheHandlerUnchanged(t *testing.T) {
	t.Parallel()
	const body = `{ "b":1.50, "a":"\u00e9" }`
	var got bytes.Buffer
	h := strict(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := got.ReadFrom(r.Body)
		require.NoError(t, err)
	}))
	r := httptest.NewRequest("PUT", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	h.ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, body, got.String())
}
