package httpx

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"
)

type echoed struct{ Body struct{ ID string } }

// An id may have any character. net/http's mux of Go 1.22 to 1.26 does not match the segment %2F with a wildcard.
func TestAnIDIsReadWholeFromTheAddress(t *testing.T) {
	t.Parallel()
	api, handler := NewAPI("test", "1", "")
	for _, path := range []string{"/things/{id}", "/things/{id}/parts"} {
		Register(api, huma.Operation{OperationID: path, Method: http.MethodGet, Path: path},
			func(_ context.Context, in *struct {
				ID string `path:"id"`
			}) (*echoed, error) {
				out := &echoed{}
				out.Body.ID = in.ID
				return out, nil
			})
	}
	for segment, id := range map[string]string{"%2F": "/", "%2f": "/", "%2F%2F": "//", "a%2Fb": "a/b", "%2Fparts": "/parts", "a%2F..": "a/..",
		"%252F": "%2F", "a%20b": "a b", "%3Fwait=1": "?wait=1", "+": "+", "%5C": `\`, "...": "...", "gr%C3%B6%C3%9Fe": "größe"} {
		for _, suffix := range []string{"", "/parts"} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/things/"+segment+suffix, nil))
			require.Equal(t, http.StatusOK, w.Code, "%s%s: %s", segment, suffix, w.Body)
			require.JSONEq(t, `{"ID":"`+strings.ReplaceAll(id, `\`, `\\`)+`"}`, w.Body.String(), segment)
		}
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/%2F/nothing", nil))
	require.Equal(t, http.StatusNotFound, w.Code)
}
