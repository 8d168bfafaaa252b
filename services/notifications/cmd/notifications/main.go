// Command notifications runs the notifications service. `notifications healthcheck` asks a running one whether it lives.
package main

import (
	"context"
	"os"

	"github.com/caarlos0/env/v11"

	"pasdetrois/pkg/platform/run"
	"pasdetrois/services/notifications"
)

func main() {
	os.Exit(run.Main(context.Background(), "notifications", os.Args[1:], env.ToMap(os.Environ()), os.Stdout, os.Stderr, notifications.Run))
}
