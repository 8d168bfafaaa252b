package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// things is an API with one resource. It counts what comes through to it.
type things struct {
	t       *testing.T
	handler http.Handler
	taken   []string
}

type thingInput struct {
	Body struct {
		Name  string   `json:"name" maxLength:"20"`
		Count int      `json:"count,omitempty" maximum:"9"`
		Parts []string `json:"parts,omitempty"`
	}
}

type nothing struct{}

func setup(t *testing.T) *things {
	t.Helper()
	api, handler := NewAPI("things", "1", "test")
	s := &things{t: t, handler: handler}
	huma.Register(api, huma.Operation{OperationID: "put", Method: http.MethodPost, Path: "/things"},
		func(_ context.Context, in *thingInput) (*nothing, error) {
			s.taken = append(s.taken, in.Body.Name)
			return nil, nil
		})
	get := func(path string, answer func(context.Context) error) {
		huma.Register(api, huma.Operation{OperationID: path, Method: http.MethodGet, Path: path},
			func(ctx context.Context, _ *nothing) (*nothing, error) { return nil, answer(ctx) })
	}
	get("/away", func(context.Context) error { return Unavailable("the thing is away", 7) })
	get("/broken", func(context.Context) error { return errors.New("secret") })
	get("/panics", func(context.Context) error { panic("secret") })
	get("/aborts", func(context.Context) error { panic(http.ErrAbortHandler) })
	return s
}

// do asks, with pairs of header names and values. A body is JSON unless they say otherwise.
func (s *things) do(method, path, body string, header ...string) *http.Response {
	s.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

// problemOf expects an RFC 9457 document of the status and returns it as text.
func problemOf(t *testing.T, resp *http.Response, status int) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, status, resp.StatusCode, "%s", body)
	require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"), "%s", body)
	var document struct {
		Title, Detail string
		Status        int
	}
	require.NoError(t, json.Unmarshal(body, &document), "%s", body)
	require.Equal(t, status, document.Status)
	require.Equal(t, http.StatusText(status), document.Title)
	require.NotEmpty(t, document.Detail)
	return string(body)
}

// strict hands requests with an acceptable body to next.
func strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strictBody(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}
