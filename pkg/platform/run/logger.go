package run

import (
	"fmt"
	"io"
	"log/slog"

	"pasdetrois/pkg/platform/masked"
	"pasdetrois/pkg/platform/terminal"
)

// Logger makes the service's slog logger: JSON or text by format, at level, with the key service. Its lines are safe for a
// terminal, because errors quote text of other people. slog's text handler escapes control characters itself.
func Logger(w io.Writer, service, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is not one of debug, info, warn, error", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "json":
		return slog.New(masked.Handler(slog.NewJSONHandler(terminal.Safe(w), opts))).With("service", service), nil
	case "text":
		return slog.New(masked.Handler(slog.NewTextHandler(w, opts))).With("service", service), nil
	}
	return nil, fmt.Errorf("log format %q is neither json nor text", format)
}
