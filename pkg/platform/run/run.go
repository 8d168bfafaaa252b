// Package run starts and stops a service: signals, logging, the order of shutdown, the healthcheck subcommand.
package run

import (
	"context"
	"io"
	"log/slog"
)

// Logger makes the service's slog logger: JSON or text by format, at level, with the key service.
func Logger(w io.Writer, service, level, format string) (*slog.Logger, error) { panic("skeleton") }

// Main is a service's whole main: it parses config from the environment (caarlos0/env, plus NAME_FILE variants for
// secrets), prints all problems at once and exits 2 when it is wrong, answers the subcommands `healthcheck` (asks
// /livez on the admin address; exit 0 or 1) and `version`, makes the signal context and calls start. The first signal
// begins the drain, a second one ends at once. It returns the exit code.
func Main[C Config](ctx context.Context, service string, args []string, environ map[string]string, stdout, stderr io.Writer,
	start func(ctx context.Context, cfg C, log *slog.Logger) error) int {
	panic("skeleton")
}

// Config is a service's parsed configuration.
type Config interface {
	// Validate returns all problems joined.
	Validate() error
	// Admin returns the admin listener's address, for healthcheck.
	Admin() string
	// Logging returns level and format.
	Logging() (level, format string)
}

// Component is a long-running part of a service.
type Component struct {
	Name string
	Run  func(ctx context.Context) error // returns nil after ctx ends
}

// Stages runs components in stages: all start together; when ctx ends, or one component fails or returns early, the
// stages are stopped first to last, each stage's context cancelled only after every component of the one before has
// returned. It returns the first failure.
func Stages(ctx context.Context, log *slog.Logger, stages ...[]Component) error { panic("skeleton") }
