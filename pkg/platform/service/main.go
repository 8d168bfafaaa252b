package service

import (
	"context"
	"log/slog"
	"os"

	"github.com/caarlos0/env/v11"

	"pasdetrois/pkg/platform/run"
)

// Main is the main function of a service's program: run.Main on this process, whose exit code it ends with.
func Main[C run.Config](name string, start func(context.Context, C, *slog.Logger) error) {
	os.Exit(run.Main(context.Background(), name, os.Args[1:], env.ToMap(os.Environ()), os.Stdout, os.Stderr, start))
}
