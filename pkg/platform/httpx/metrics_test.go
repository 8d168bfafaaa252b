package httpx_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/httpx"
)

// Whatever clients send, there is one series for each route, method and class of status that the service has.
func TestRequestsAreCountedByRoute(t *testing.T) {
	t.Parallel()
	api, handler := httpx.NewAPI("things", "1", "test")
	type input struct {
		ID   string `path:"id"`
		Body struct {
			Name string `json:"name"`
		}
	}
	huma.Register(api, huma.Operation{OperationID: "put", Method: http.MethodPut, Path: "/things/{id}"},
		func(_ context.Context, in *input) (*struct{}, error) {
			if in.ID == "broken" {
				panic("a bug")
			}
			return nil, nil
		})
	reg := prometheus.NewRegistry()
	handler = httpx.NewMetrics(reg).Measure(handler)
	around := http.NewServeMux() // as Health.Mount does
	around.Handle("/", handler)

	for _, c := range [][3]string{
		{"PUT", "/things/1", `{"name":"a"}`}, {"PUT", "/things/2", `{"name":"a"}`}, // one route
		{"PUT", "/things/1", `{"name":1}`}, {"PUT", "/things/1", `{`}, {"PUT", "/things/1", strings.Repeat(" ", 70_000)},
		{"PUT", "/things/broken", `{"name":"a"}`},
		{"GET", "/random/1", ""}, {"GET", "/random/2", ""}, {"GET", "/things/1", ""}, {"BREW", "/tea", ""}, {"STIR", "/tea", ""},
		{"GET", "/openapi.json", ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c[0], c[1], strings.NewReader(c[2]))
		r.Header.Set("Content-Type", "application/json")
		around.ServeHTTP(httptest.NewRecorder(), r)
	}
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP pasdetrois_http_requests_total HTTP requests answered, by method, route and class of the status.
# TYPE pasdetrois_http_requests_total counter
pasdetrois_http_requests_total{method="GET",route="/openapi.json",status="2xx"} 1
pasdetrois_http_requests_total{method="GET",route="none",status="4xx"} 3
pasdetrois_http_requests_total{method="PUT",route="/things/{id}",status="2xx"} 2
pasdetrois_http_requests_total{method="PUT",route="/things/{id}",status="4xx"} 3
pasdetrois_http_requests_total{method="PUT",route="/things/{id}",status="5xx"} 1
pasdetrois_http_requests_total{method="other",route="none",status="4xx"} 2
`), "pasdetrois_http_requests_total"))
	require.Equal(t, 4, testutil.CollectAndCount(reg, "pasdetrois_http_request_seconds"))
}

// A stream's time is that until it began; and measuring takes nothing from it that it needs.
func TestAStreamIsMeasuredUntilItBegins(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	hold := make(chan struct{})
	failed := make(chan error, 2)
	server := httptest.NewServer(httpx.NewMetrics(reg).Measure(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		failed <- c.SetWriteDeadline(time.Now().Add(time.Hour))
		failed <- c.Flush()
		<-hold
	})))
	defer server.Close()
	start := time.Now()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	resp, err := server.Client().Do(r)
	require.NoError(t, err, "the header comes at once")
	began := time.Since(start)
	<-time.After(50 * time.Millisecond) // it goes on for longer than nothing
	close(hold)
	require.NoError(t, resp.Body.Close())
	server.Close() // waits for the handler
	require.NoError(t, <-failed)
	require.NoError(t, <-failed)
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "pasdetrois_http_request_seconds" {
			require.EqualValues(t, 1, f.GetMetric()[0].GetHistogram().GetSampleCount())
			require.LessOrEqual(t, f.GetMetric()[0].GetHistogram().GetSampleSum(), began.Seconds())
			return
		}
	}
	require.Fail(t, "the request was not timed")
}
