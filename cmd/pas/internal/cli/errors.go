package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/toolbox/hint"
)

// usageError is a mistake in flags, arguments or configuration. Its exit code is ExitUsage, and it means that
// nothing was done.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// Usage marks the mistake. Other packages mark their error types with the same method, such as
// stack.SettingsError.
func (e *usageError) Usage() {}

// usagef makes a usage error. Its text names the flag or variable, the rejected value and an accepted one. It
// must not contain a URL that may hold a password.
func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// isUsage reports whether err is, or wraps, a mistake in flags, arguments or configuration.
func isUsage(err error) bool {
	var usage interface{ Usage() }
	return errors.As(err, &usage)
}

// explain returns the text of err with its hint. A cancelled command is just "interrupted", unless it gave a
// hint of its own: then the cancellation left something to be done.
func explain(err error) string {
	// A *hint.Error is a hint that the failing code gave on purpose. Other types derive theirs from the error
	// and would describe the cancelled connection.
	var own *hint.Error
	if !errors.As(err, &own) && !isUsage(err) && errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	if text := hint.Of(err); text != "" {
		return withHint(err.Error(), text)
	}
	return err.Error()
}

// withHint joins an error text and a hint to one sentence.
func withHint(text, hint string) string {
	return strings.TrimRight(text, ". ") + "; " + hint
}

// oneLine joins the lines of an error and makes it safe for a terminal. Joined errors have a line each.
func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return render.Plain(strings.Join(lines, "; "))
}
