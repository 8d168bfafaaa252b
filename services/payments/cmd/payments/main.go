// Command payments runs the payments service. `payments healthcheck` asks a running one whether it lives.
package main

import (
	"context"
	"os"

	"github.com/caarlos0/env/v11"

	"pasdetrois/pkg/platform/run"
	"pasdetrois/services/payments"
)

func main() {
	os.Exit(run.Main(context.Background(), "payments", os.Args[1:], env.ToMap(os.Environ()), os.Stdout, os.Stderr, payments.Run))
}
