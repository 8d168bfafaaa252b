package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/toolbox/simulate"
)

// plainEvery is the number of progress reports for one line, where the output is no terminal and lines stay.
const plainEvery = 10

// liveLine shows progress on standard error. On a terminal it is one line that changes; elsewhere it is a line
// now and then, so that a log does not fill. Its methods must not be called concurrently.
type liveLine struct {
	app   *app
	fd    int // of the terminal; -1 = standard error is no terminal
	count int
	last  time.Time // of the latest text, for a caller that comes too often
}

// liveLine returns a line that suits standard error: TERM=dumb is treated like a file.
func (a *app) liveLine() *liveLine {
	l := &liveLine{app: a, fd: -1}
	if file, ok := a.Stderr.(interface{ Fd() uintptr }); ok && term.IsTerminal(int(file.Fd())) && a.Environ["TERM"] != "dumb" {
		l.fd = int(file.Fd())
	}
	return l
}

// progress shows the state of simulated traffic; the percentiles are those of the whole run so far.
func (l *liveLine) progress(p simulate.Progress) {
	l.show(fmt.Sprintf("%s of %s: %d sessions, %d orders, %d refused, %d open; p95 answer %s, email %s", p.Elapsed.Round(time.Second),
		p.Duration, p.Sessions, p.Orders, p.Refused, p.Open, latency(p.Answer, p.Answer.P95), latency(p.Mail, p.Mail.P95)))
}

// show replaces the text of the line. A longer text than the terminal is wide is cut: a wrapped line could not
// be erased.
func (l *liveLine) show(text string) {
	l.count++
	if l.fd < 0 {
		if l.count%plainEvery == 0 {
			l.app.note("%s", text)
		}
		return
	}
	// The width is read each time, since a window can change its size.
	if width, _, err := term.GetSize(l.fd); err == nil && len(text) >= width && width > 0 {
		text = text[:width-1]
	}
	_, _ = fmt.Fprintf(l.app.Stderr, "\r\x1b[K%s", text)
}

// end erases the changing line, so that the next output begins on a clean one.
func (l *liveLine) end() {
	if l.fd >= 0 && l.count > 0 {
		_, _ = fmt.Fprint(l.app.Stderr, "\r\x1b[K")
	}
}

// latency formats a number of l, given in milliseconds; without orders it is "-".
func latency(l simulate.Latency, ms float64) string {
	switch {
	case l.Count == 0:
		return "-"
	case ms >= 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// showSimulated shows the summary and returns the verdict. Rows without content are left out.
func (a *app) showSimulated(s simulate.Summary, settle time.Duration) error {
	bad := verdict(s, settle)
	if a.json {
		view := struct {
			simulate.Summary
			Passed bool `json:"passed"`
		}{s, bad == nil}
		return errors.Join(a.printer().JSON(view), bad)
	}
	p := a.printer()
	p.Line("Run %s, seed %d: %d sessions and %d orders in %.1f s.", p.Bold(s.Run), s.Seed, s.Sessions, s.Orders, s.Seconds)
	p.Line("")
	list := func(name string, counted map[string]int64, also ...string) {
		words := also
		for _, key := range slices.SortedFunc(maps.Keys(counted), func(a, b string) int {
			return cmp.Or(cmp.Compare(counted[b], counted[a]), cmp.Compare(a, b))
		}) {
			words = append(words, fmt.Sprintf("%d %s", counted[key], key))
		}
		if len(words) > 0 {
			p.Line("%-14s %s", name, strings.Join(words, ", "))
		}
	}
	list("events", s.Events)
	answers := []string{fmt.Sprintf("%d taken", s.Taken)}
	for _, also := range []struct {
		count int64
		what  string
	}{{s.Repeated, "of them known before"}, {s.HeldBack, "held back"}} {
		if also.count > 0 {
			answers = append(answers, fmt.Sprintf("%d %s", also.count, also.what))
		}
	}
	list("answers", s.Refused, answers...)
	list("cancellations", s.Cancellations)
	// Outcomes are sorted by number; unsettled orders come first, as the only ones that are a failure.
	unsettled := []string{}
	if s.Unsettled > 0 {
		unsettled = append(unsettled, p.Bad(fmt.Sprintf("%d not settled", s.Unsettled)))
	}
	list("outcomes", s.Outcomes, unsettled...)
	p.Line("")
	row := func(name string, l simulate.Latency) []string {
		return []string{name, fmt.Sprint(l.Count), latency(l, l.P50), latency(l, l.P95), latency(l, l.P99), latency(l, l.Max)}
	}
	p.Table([]string{"latency", "orders", "p50", "p95", "p99", "max"},
		[][]string{row("POST to answer", s.ToAnswer), row("POST to email", s.ToEmail)}, "orders", "p50", "p95", "p99", "max")
	if len(s.UnsettledExamples) > 0 {
		p.Line("")
		p.Line("Not settled, for example: %s", render.Plain(strings.Join(s.UnsettledExamples, ", ")))
	}
	return bad
}
