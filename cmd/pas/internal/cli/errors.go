package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/toolbox/client"
)

// usageError is a mistake in flags, arguments or configuration: exit code 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// hintedError is an error with what to do about it.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

func hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hintedError{err: err, hint: fmt.Sprintf(format, args...)}
}

// explain says what went wrong and what to do about it.
func explain(err error) string {
	var hinted *hintedError
	var usage *usageError
	var unreachable *client.UnreachableError
	var busy *stack.PortBusyError
	var refusal *client.Problem
	switch {
	case errors.As(err, &hinted):
		return withHint(err.Error(), hinted.hint)
	case errors.As(err, &usage):
		return err.Error()
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.As(err, &unreachable):
		variable := "PAS_" + strings.ToUpper(unreachable.Service) + "_URL"
		if unreachable.Admin {
			variable = "PAS_" + strings.ToUpper(unreachable.Service) + "_ADMIN_URL"
		}
		return withHint(err.Error(), fmt.Sprintf("start the system with `pas up`, or set %s to where it runs", variable))
	case errors.As(err, &busy):
		return withHint(err.Error(), "stop that program, or move all ports up with --port-offset 2000")
	case errors.As(err, &refusal) && refusal.Status == http.StatusNotFound && !client.Missing(err):
		variable := "PAS_" + strings.ToUpper(refusal.Service)
		return withHint(err.Error(), fmt.Sprintf("check that %s_URL and %s_ADMIN_URL say where %s is", variable, variable, refusal.Service))
	}
	switch client.StatusOf(err) {
	case http.StatusServiceUnavailable:
		return withHint(err.Error(), "try again in a few seconds")
	case http.StatusConflict, http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusNotFound, 0:
		return err.Error()
	default:
		return withHint(err.Error(), "the service's log says more")
	}
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
