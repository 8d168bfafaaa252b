package render

import (
	"fmt"
	"time"

	"pasdetrois/cmd/pas/scenario"
)

// Outcome writes one played scenario: heading, each order's timeline and emails, notes, and the verdict. number
// counts from 1.
func (p *Printer) Outcome(number, of int, o scenario.Outcome) {
	p.Line("%s %s", p.Bold(fmt.Sprintf("%2d/%d  %s", number, of, o.Scenario)), p.Dim("- "+o.Title))
	for _, s := range o.Shown {
		if s.Order != nil {
			p.Line("  %s", p.orderLine(*s.Order))
		} else {
			p.Line("  order %s %s", Plain(s.OrderID), p.Dim("(does not exist)"))
		}
		p.Timeline(s.Timeline, "    ")
		for _, e := range s.Emails {
			p.Email(e, "    ")
		}
	}
	for _, note := range o.Notes {
		p.Line("  %s %s", p.Dim("-"), Plain(note))
	}
	p.Line("  %s  %s", p.Verdict(o), p.Dim(Seconds(o.Took)))
	if o.Err != nil {
		p.Line("  %s", p.Bad(Plain(o.Err.Error())))
	}
	p.Line("")
}

// Verdict returns PASS, or FAIL when an expectation did not hold.
func (p *Printer) Verdict(o scenario.Outcome) string {
	if o.Err != nil {
		return p.Bad("FAIL")
	}
	return p.Good("PASS")
}

// Outcomes writes the table of all scenarios, one row each.
func (p *Printer) Outcomes(outcomes []scenario.Outcome) {
	rows := make([][]string, len(outcomes))
	for i, o := range outcomes {
		rows[i] = []string{o.Scenario, p.Verdict(o), Seconds(o.Took), o.Title}
	}
	p.Table([]string{"scenario", "result", "time", "what"}, rows, "time")
}

// Seconds formats a duration as seconds with two decimals.
func Seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
