// Package render writes what commands have to say: tables and colour for people, JSON for scripts.
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

// Printer writes to one output. Colour is used only where Colour allows it.
type Printer struct {
	out    io.Writer
	colour bool
}

// New returns a printer. With mode "auto" it uses colour on a terminal, unless the environment says NO_COLOR or
// TERM=dumb; "always" and "never" decide it.
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

// Line writes one line.
func (p *Printer) Line(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format+"\n", args...)
}

// JSON writes v as indented JSON.
func (p *Printer) JSON(v any) error {
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Table writes rows under a header, aligned, without frames so that it can be cut and grepped. Columns named in right
// are aligned right.
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

func (p *Printer) paint(s string, c text.Color) string {
	if !p.colour || s == "" {
		return s
	}
	return text.Escape(s, c.EscapeSeq())
}

// Bold is for what matters most.
func (p *Printer) Bold(s string) string { return p.paint(s, text.Bold) }

// Dim is for what matters less.
func (p *Printer) Dim(s string) string { return p.paint(s, text.Faint) }

// Good is for what went well.
func (p *Printer) Good(s string) string { return p.paint(s, text.FgGreen) }

// Bad is for what did not.
func (p *Printer) Bad(s string) string { return p.paint(s, text.FgRed) }

// Busy is for what is still going on.
func (p *Printer) Busy(s string) string { return p.paint(s, text.FgYellow) }

// Status colours an order's status.
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

// Event colours an event's name: what went well, what did not, what is asked for; any other keeps a colour of its own.
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

// Plain makes foreign text safe for a terminal: control characters and bytes that are no text are shown as escapes.
func Plain(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError:
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

// Short cuts s to at most n characters.
func Short(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
