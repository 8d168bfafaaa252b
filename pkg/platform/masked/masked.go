// Package masked keeps people's addresses out of logs and traces. Errors of other systems, such as a mail server's refusal, and
// values that a decoder quotes may have an address in their text.
package masked

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"unicode/utf8"
)

// addresses matches email addresses in text. A domain has a dot, so that a position such as orders/3@17 is none.
var addresses = regexp.MustCompile(`[^\s<>"'(),;:=@\\/\[\]{}]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`)

// Addresses returns the text with each email address as its first character, three dots and the domain.
func Addresses(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return addresses.ReplaceAllStringFunc(text, func(address string) string {
		_, size := utf8.DecodeRuneInString(address)
		return address[:size] + "..." + address[strings.LastIndexByte(address, '@'):]
	})
}

// errKey is the log key of errors.
const errKey = "err"

// Handler returns a handler that masks the addresses in errors, and passes each record to next. Records without an error pass
// unchanged.
func Handler(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == errKey && strings.Contains(a.Value.String(), "@")
		return !found
	})
	if !found {
		return h.Handler.Handle(ctx, r)
	}
	again := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == errKey {
			a.Value = slog.StringValue(Addresses(a.Value.String()))
		}
		again.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, again)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
