// Package render writes the output of commands: tables and colour for people, JSON for scripts.
//
// Text that users or other producers wrote goes through Plain before it is printed. Otherwise a record could
// move the cursor or recolour the terminal. The methods that take client values (Order, DeadLetter, …) do this
// themselves; Line and Table do not.
package render

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// Printer writes to one output. Write errors are dropped, except by JSON: a broken pipe cancels the command
// elsewhere. A Printer keeps no state between calls; a caller that prints from several goroutines must
// synchronise the output.
type Printer struct {
	out    io.Writer
	colour bool
}

// New returns a printer. Mode "always" and "never" decide about colour. Any other mode uses colour on a
// terminal, unless environ has NO_COLOR or TERM=dumb. An output without a file descriptor, such as a buffer, is
// no terminal.
func New(out io.Writer, mode string, environ map[string]string) *Printer {
	return &Printer{out: out, colour: wantsColour(out, mode, environ)}
}

func wantsColour(out io.Writer, mode string, environ map[string]string) bool {
	switch mode {
	case "always":
		return true
	case "never":
		return false
	}
	file, ok := out.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd())) && environ["NO_COLOR"] == "" && environ["TERM"] != "dumb"
}

// Line writes one formatted line and adds the line break.
func (p *Printer) Line(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format+"\n", args...)
}

// JSON writes v as indented JSON, without escaping <, > and &, since the output is not HTML. It returns the
// write error, so that a script never takes half a document for a success.
func (p *Printer) JSON(v any) error {
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Table writes rows under a header, aligned and without frames, so that the output can be cut and grepped.
// Columns named in right are aligned right. Trailing spaces are removed.
func (p *Printer) Table(header []string, rows [][]string, right ...string) {
	t := table.NewWriter()
	t.SetStyle(table.StyleDefault)
	style := table.OptionsNoBordersAndSeparators
	t.Style().Options = style
	t.Style().Box.PaddingLeft, t.Style().Box.PaddingRight = "", "  "
	t.Style().Format.Header = text.FormatUpper
	head := make(table.Row, len(header))
	configs := make([]table.ColumnConfig, 0, len(right))
	for i, name := range header {
		head[i] = p.Bold(name)
		for _, r := range right {
			if r == name {
				configs = append(configs, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
			}
		}
	}
	t.AppendHeader(head)
	t.SetColumnConfigs(configs)
	for _, row := range rows {
		cells := make(table.Row, len(row))
		for i, cell := range row {
			cells[i] = cell
		}
		t.AppendRow(cells)
	}
	for line := range strings.Lines(t.Render()) {
		p.Line("%s", strings.TrimRight(line, " \n"))
	}
}

// paint wraps s in one colour. An empty string stays empty, so that a table cell does not count escapes as
// content.
func (p *Printer) paint(s string, c text.Color) string {
	if !p.colour || s == "" {
		return s
	}
	return text.Escape(s, c.EscapeSeq())
}

// Bold is for the part of a line that matters most, such as an id.
func (p *Printer) Bold(s string) string { return p.paint(s, text.Bold) }

// Dim is for the part of a line that matters less, such as a time.
func (p *Printer) Dim(s string) string { return p.paint(s, text.Faint) }

// Good is for success.
func (p *Printer) Good(s string) string { return p.paint(s, text.FgGreen) }

// Bad is for failure.
func (p *Printer) Bad(s string) string { return p.paint(s, text.FgRed) }

// Busy is for a state that will still change.
func (p *Printer) Busy(s string) string { return p.paint(s, text.FgYellow) }

// Status colours a status of an order, a payment, a notification or a dead letter. Unknown ones stay plain, so
// that a newer service does not break an older pas.
func (p *Printer) Status(status string) string {
	switch status {
	case "confirmed", "sent", "captured", "replayed":
		return p.Good(status)
	case "rejected", "failed", "parked":
		return p.Bad(status)
	case "pending", "awaiting_payment", "cancelling", "replaying":
		return p.Busy(status)
	default:
		return status
	}
}

// Event colours an event's name: success, failure, and request have fixed colours. The colour of any other name
// depends on the name alone: one event has the same colour in every run.
func (p *Printer) Event(name string) string {
	switch {
	case strings.HasSuffix(name, "_captured") || name == "checkout":
		return p.Good(name)
	case strings.HasSuffix(name, "_failed") || strings.HasSuffix(name, "_rejected"):
		return p.Bad(name)
	case strings.HasSuffix(name, "_requested"):
		return p.Busy(name)
	}
	others := []text.Color{text.FgCyan, text.FgBlue, text.FgMagenta, text.FgHiCyan, text.FgHiBlue, text.FgHiMagenta}
	sum := 0
	for _, c := range []byte(name) {
		sum += int(c)
	}
	return p.paint(name, others[sum%len(others)])
}

// Plain makes foreign text safe for a terminal: control characters and bytes that are not UTF-8 are shown as
// escapes.
func Plain(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError:
			// A size of 1 means an invalid byte. A replacement character that really is in the text has 3
			// bytes.
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				fmt.Fprintf(&b, `\x%02x`, s[i])
				continue
			}
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := fmt.Sprintf("%+q", r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// Short cuts s to at most n characters; the last one then is an ellipsis.
func Short(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
