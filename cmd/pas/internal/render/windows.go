package render

import (
	"fmt"
	"strings"

	"pasdetrois/toolbox/windows"
)

// barWidth is the length of a window's longest bar, in characters.
const barWidth = 40

// Window writes one window: its time, and a bar for each event, most common first. Bars compare the events of
// one window only; two windows have different scales. A window has one of four states:
//
//	closed     shown once, at its end
//	open       shown at the end of the run, still counting
//	added      closed too long ago to be remembered; it holds only the events that came after that
//	corrected  shown before as closed; it holds its earlier events and the new ones
func (p *Printer) Window(w windows.Window) {
	const clock = "15:04:05"
	what := fmt.Sprintf("%d events", w.Count)
	if w.Late > 0 {
		what += fmt.Sprintf(", %d late", w.Late)
	}
	switch {
	case w.Open:
		what += p.Busy("  still open")
	case w.Added:
		what += p.Busy("  came after the window was shown")
	case w.Corrected:
		what += p.Busy("  corrected")
	}
	p.Line("%s  %s", p.Bold(w.Start.Format("2006-01-02 "+clock)+" to "+w.End.Format(clock)+" UTC"), what)
	name, count, most := 0, 0, int64(1)
	for _, e := range w.Events {
		name = max(name, len([]rune(eventName(e))))
		count = max(count, len(fmt.Sprint(e.Count)))
		most = max(most, e.Count)
	}
	for _, e := range w.Events {
		label := eventName(e)
		line := "  " + p.Event(label) + strings.Repeat(" ", name-len([]rune(label))) + fmt.Sprintf("  %*d  ", count, e.Count) + bar(e.Count, most)
		for _, sum := range e.Sums {
			line += fmt.Sprintf("  %s %s", sum.Amount, sum.Currency)
		}
		if e.Late > 0 {
			line += p.Dim(fmt.Sprintf("  +%d late", e.Late))
		}
		p.Line("%s", strings.TrimRight(line, " "))
	}
}

func eventName(e windows.Event) string {
	if e.Name == "" {
		return "(no event)"
	}
	return Plain(e.Name)
}

// bar draws n in eighths of a character, relative to most. Any n above 0 is visible, however small.
func bar(n, most int64) string {
	eighths := int(float64(n) / float64(most) * barWidth * 8)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	if text == "" && n > 0 {
		return "▏"
	}
	return text
}
