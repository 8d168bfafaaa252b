#!/usr/bin/env bash
# Software:  Go 1.26, net/http.ServeMux.
# Behaviour: a wildcard of one segment, as in "GET /orders/{id}", matches segments with escaped slashes and unescapes them:
#            /orders/a%2F is the id "a/", and /orders/%2F%2F is "//". A segment that is one escaped slash alone, /orders/%2F,
#            is answered 404, although the wildcard of a rest, "GET /files/{path...}", takes it as "/". A reader of the package's
#            words, that patterns and paths are unescaped segment by segment, would expect the id "/".
# Seen:      /orders/a%2F 200 "a/"; /orders/%2Fa 200 "/a"; /orders/%2F%2F 200 "//"; /files/%2F 200 "/"; /orders/%2F 404
# Date:      2026-11-30
# Exits 0 while the behaviour is as described, 1 when it changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'GO'
module finding

go 1.26
GO
cat >main.go <<'GO'
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
)

func main() {
	mux := http.NewServeMux()
	for _, pattern := range []string{"GET /orders/{id}", "GET /files/{id...}"} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%q", r.PathValue("id")) })
	}
	changed := false
	for _, want := range []struct {
		path   string
		status int
		id     string
	}{
		{"/orders/a%2F", 200, `"a/"`},
		{"/orders/%2Fa", 200, `"/a"`},
		{"/orders/%2F%2F", 200, `"//"`},
		{"/files/%2F", 200, `"/"`},
		{"/orders/%2F", 404, "404 page not found\n"},
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, want.path, nil))
		fmt.Printf("%s %d %q\n", want.path, w.Code, w.Body.String())
		changed = changed || w.Code != want.status || w.Body.String() != want.id
	}
	if changed {
		os.Exit(1)
	}
}
GO
go run .
