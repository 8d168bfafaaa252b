#!/usr/bin/env bash
# Software:  OpenTelemetry contrib otelhttp v0.72.0, otel v1.47.0, Go 1.26.
# Behaviour: otelhttp.NewHandler around a http.ServeMux names the server span by the pattern that matched, "GET /orders/{id}", but
#            the span has no attribute http.route. Mounted below another mux with the pattern "/", the same span has the
#            same name and http.route "/": the outer mux's pattern. A reader of the semantic conventions, in which the name
#            is made of method and http.route, would expect both to tell the same route.
# Seen:      around the mux: name "GET /orders/{id}", http.route missing
#            below another mux: name "GET /orders/{id}", http.route "/"
# Date:      2026-11-30
# Exits 0 while the behaviour is as described, 1 when it changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'GO'
module finding

go 1.26

require (
	go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp v0.72.0
	go.opentelemetry.io/otel/sdk v1.47.0
)
GO
cat >main.go <<'GO'
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// span returns name and route of the span of a request for /orders/7.
func span(mount func(http.Handler) http.Handler) (name, route string) {
	recorder := tracetest.NewSpanRecorder()
	api := http.NewServeMux()
	api.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	traced := otelhttp.NewHandler(api, "api", otelhttp.WithTracerProvider(sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))))
	mount(traced).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders/7", nil))
	route = "missing"
	for _, a := range recorder.Ended()[0].Attributes() {
		if a.Key == "http.route" {
			route = a.Value.AsString()
		}
	}
	return recorder.Ended()[0].Name(), route
}

func main() {
	name, route := span(func(h http.Handler) http.Handler { return h })
	fmt.Printf("around the mux: name %q, http.route %s\n", name, route)
	below, outer := span(func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", h)
		return mux
	})
	fmt.Printf("below another mux: name %q, http.route %s\n", below, outer)
	if name != "GET /orders/{id}" || below != name || route != "missing" || outer != "/" {
		os.Exit(1)
	}
}
GO
go mod tidy >/dev/null 2>&1
go run .
