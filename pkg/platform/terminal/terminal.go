// Package terminal keeps what strangers wrote from doing something to the terminal that shows it.
package terminal

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// Safe returns an output that passes on no character that a terminal may obey, or that shows other text than there is:
// the controls U+007F to U+009F, bytes of these values alone, and the overrides of the writing direction. They are written
// as \u escapes, so a JSON document keeps its meaning. ESC passes: colours are made of it, and JSON and the callers escape that
// of others. A Write must not end within a character.
func Safe(out io.Writer) io.Writer {
	safe := &output{out}
	if f, ok := out.(descriptor); ok {
		return &file{safe, f}
	}
	return safe
}

// descriptor is what makes an output a file, which may be a terminal.
type descriptor interface{ Fd() uintptr }

type output struct{ out io.Writer }

type file struct {
	*output
	descriptor
}

func (t *output) Write(b []byte) (int, error) {
	if !bytes.ContainsFunc(b, obeyed) {
		return t.out.Write(b)
	}
	safe := make([]byte, 0, len(b)+len(b)/8)
	for rest := b; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1 && rest[0] > 0x9f:
			safe = append(safe, rest[0])
		case obeyed(r):
			safe = fmt.Appendf(safe, `\u%04x`, r)
		default:
			safe = append(safe, rest[:size]...)
		}
		rest = rest[size:]
	}
	if _, err := t.out.Write(safe); err != nil {
		return 0, err
	}
	return len(b), nil
}

// obeyed reports whether a terminal may obey the character. A byte that is no text counts as U+FFFD.
func obeyed(r rune) bool {
	return r >= 0x7f && r <= 0x9f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == utf8.RuneError
}
