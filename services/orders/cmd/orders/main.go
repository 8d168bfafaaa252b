// Command orders runs the orders service. `orders healthcheck` asks a running one whether it lives.
package main

import (
	"context"
	"os"

	"github.com/caarlos0/env/v11"

	"pasdetrois/pkg/platform/run"
	"pasdetrois/services/orders"
)

func main() {
	os.Exit(run.Main(context.Background(), "orders", os.Args[1:], env.ToMap(os.Environ()), os.Stdout, os.Stderr, orders.Run))
}
