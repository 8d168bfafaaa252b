// Package fault sorts errors into transient, permanent and cancelled, by type and never by text.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind says how the caller of a failed operation should go on.
type Kind int

const (
	// Transient errors end by themselves (database, broker, provider): retry, for ever. The default.
	Transient Kind = iota
	// Permanent errors fail again at each retry of the same message: park it.
	Permanent
	// Cancelled means that the work was stopped: leave the message where it is.
	Cancelled
)

// permanent is the error type behind New and Wrap.
type permanent struct {
	reason string
	err    error
}

func (e *permanent) Error() string { return e.err.Error() }
func (e *permanent) Unwrap() error { return e.err }

// New returns a permanent error. Reason is a stable snake_case code, fit for a metric label.
func New(reason, format string, args ...any) error {
	return &permanent{reason: reason, err: fmt.Errorf(format, args...)}
}

// Wrap makes err permanent. It returns nil for a nil err.
func Wrap(reason string, err error) error {
	if err == nil {
		return nil
	}
	return &permanent{reason: reason, err: err}
}

// KindOf returns the kind of err. An error of no known type is transient: a retry loses nothing.
func KindOf(err error) Kind {
	var p *permanent
	switch {
	case errors.As(err, &p):
		return Permanent
	case errors.Is(err, context.Canceled):
		return Cancelled
	default:
		return Transient
	}
}

// Reason returns the code of a permanent error, "" for any other.
func Reason(err error) string {
	var p *permanent
	if errors.As(err, &p) {
		return p.reason
	}
	return ""
}
