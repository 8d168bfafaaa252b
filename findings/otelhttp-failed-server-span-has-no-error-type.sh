#!/usr/bin/env bash
# Software:  OpenTelemetry contrib otelhttp v0.72.0, otel v1.47.0, Go 1.26.
# Behaviour: a request that is answered 500 makes two spans. Both have the status Error and http.response.status_code 500. The
#            client's span has error.type "500"; the server's span has no error.type. The semantic conventions for HTTP ask for
#            it on both alike when the request ended with an error, so counting server errors by error.type finds none.
# Seen:      client: status Error, error.type 500
#            server: status Error, error.type missing
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
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	recorder := tracetest.NewSpanRecorder()
	provider := otelhttp.WithTracerProvider(sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)))
	server := httptest.NewServer(otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}), "api", provider))
	client := http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport, provider)}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	resp.Body.Close()
	server.Close()
	seen := map[trace.SpanKind]string{}
	for _, s := range recorder.Ended() {
		kind := "missing"
		for _, a := range s.Attributes() {
			if a.Key == "error.type" {
				kind = a.Value.AsString()
			}
		}
		seen[s.SpanKind()] = kind
		fmt.Printf("%s: status %s, error.type %s\n", s.SpanKind(), s.Status().Code, kind)
		if s.Status().Code != codes.Error {
			os.Exit(1)
		}
	}
	if len(seen) != 2 || seen[trace.SpanKindClient] != "500" || seen[trace.SpanKindServer] != "missing" {
		os.Exit(1)
	}
}
GO
go mod tidy >/dev/null 2>&1
go run .
