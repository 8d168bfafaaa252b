#!/usr/bin/env bash
# Software:  github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 (used by prometheus/common and the Kubernetes API server).
# Behaviour: Negotiate returns a type that the client has excluded with q=0, which RFC 9110 12.4.2 calls not acceptable. A server
#            that offers this type alone answers with it instead of 406. The name of the weight is read in lower case only, so
#            ";Q=0.1" weighs 1, although parameter names have no case.
# Seen:      Accept "application/json;q=0", offered application/json: "application/json".
#            Accept "text/event-stream;Q=0.1,application/json;q=0.5", offered both: "text/event-stream".
# Date:      2026-11-30
# Exits 0 while the behaviour is as described, 1 when it changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'GO'
module finding

go 1.26

require github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822
GO
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/munnerz/goautoneg"
)

func main() {
	excluded := goautoneg.Negotiate("application/json;q=0", []string{"application/json"})
	upper := goautoneg.Negotiate("text/event-stream;Q=0.1,application/json;q=0.5", []string{"application/json", "text/event-stream"})
	fmt.Printf("q=0: %q; Q=0.1 beside q=0.5: %q\n", excluded, upper)
	if excluded != "application/json" || upper != "text/event-stream" {
		os.Exit(1)
	}
}
GO
go mod tidy >/dev/null 2>&1
go run .
