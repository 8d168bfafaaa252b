package httpx

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// BenchmarkPost is what a POST costs between the server and an operation that does nothing.
func BenchmarkPost(b *testing.B) {
	api, handler := NewAPI("things", "1", "test")
	Register(api, huma.Operation{OperationID: "put", Method: http.MethodPost, Path: "/things", Errors: []int{400, 422}},
		func(context.Context, *thingInput) (*nothing, error) { return nil, nil })
	reg := prometheus.NewRegistry()
	handler = NewHealth().Mount(NewMetrics(reg).Measure(handler), reg)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/things", strings.NewReader(`{"name":"a","count":3,"parts":["x","y"]}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(b, http.StatusNoContent, w.Code)
	}
}
