package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/toolbox/hint"
)

// usageError is a mistake in flags, arguments or configuration: exit code 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// Usage marks the mistake, as it does on the error types of other packages.
func (e *usageError) Usage() {}

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// isUsage reports whether err is a mistake in flags, arguments or configuration.
func isUsage(err error) bool {
	var usage interface{ Usage() }
	return errors.As(err, &usage)
}

// explain returns the text of err with its hint. An interrupted command needs none, unless the command itself gave one.
func explain(err error) string {
	var own *hint.Error
	if !errors.As(err, &own) && !isUsage(err) && errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	if text := hint.Of(err); text != "" {
		return withHint(err.Error(), text)
	}
	return err.Error()
}

func withHint(text, hint string) string {
	return strings.TrimRight(text, ". ") + "; " + hint
}

// oneLine joins the lines of an error and makes it safe for a terminal.
func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return render.Plain(strings.Join(lines, "; "))
}
