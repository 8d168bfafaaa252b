// Package terminal keeps text of other people from controlling the terminal that shows it.
package terminal

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"
)

// Safe returns an output that writes control characters as \u escapes: U+007F to U+009F, single bytes of these values, and the
// overrides of the writing direction, which show other text than there is. A JSON document keeps its meaning. ESC passes, since
// colours need it; JSON, and callers, escape the ESC of other people's text. A Write must not end within a character.
// The output is safe for concurrent use.
func Safe(out io.Writer) io.Writer {
	safe := &output{out: out}
	if f, ok := out.(descriptor); ok {
		return &file{safe, f}
	}
	return safe
}

// descriptor is the method of an output that is a file, and so perhaps a terminal.
type descriptor interface{ Fd() uintptr }

type output struct {
	mu  sync.Mutex
	out io.Writer
}

type file struct {
	*output
	descriptor
}

func (t *output) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
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

// obeyed reports whether a terminal may obey the character. An invalid byte counts as U+FFFD.
func obeyed(r rune) bool {
	return r >= 0x7f && r <= 0x9f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == utf8.RuneError
}
