// Package httpx is what every HTTP side of a service shares: server limits, strict JSON, problem+json, health, docs.
package httpx

import (
	"context"
	"net"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// NewAPI returns a huma API (OpenAPI 3.1 at /openapi.json, a page at /docs without outside hosts) and the handler that
// serves it: strict JSON bodies up to 64 KiB, RFC 9457 problem+json for every error, 404 and 405 (with Allow) included.
func NewAPI(title, version, description string) (huma.API, http.Handler) { panic("skeleton") }

// Check is one named readiness check.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

// Health answers /livez (no dependencies) and /readyz (each check by name; 503 when one fails or while draining).
type Health struct{}

// NewHealth makes a Health that is not draining.
func NewHealth(checks ...Check) *Health { panic("skeleton") }

// Drain makes /readyz answer 503 from now on.
func (h *Health) Drain() { panic("skeleton") }

// Mount wraps next with /livez, /readyz and, when gatherer is not nil, /metrics.
func (h *Health) Mount(next http.Handler, gatherer prometheus.Gatherer) http.Handler { panic("skeleton") }

// Serve serves handler on l with the standard time-outs and limits until ctx ends, then stops gracefully within the
// drain budget.
func Serve(ctx context.Context, l net.Listener, handler http.Handler) error { panic("skeleton") }

// Unavailable is the 503 problem with Retry-After for a dependency that is down.
func Unavailable(detail string, retryAfterSeconds int) error { panic("skeleton") }
