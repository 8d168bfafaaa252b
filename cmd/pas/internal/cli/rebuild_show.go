package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"pasdetrois/pkg/platform/rebuild"
	driver "pasdetrois/toolbox/rebuild"
)

// findingsShown is the number of findings of each kind that the terminal names for a service. --json has all.
const findingsShown = 20

// rebuilt shows what is found. With --json the findings are written as they come, because there may be a million: the
// document is one object all the same.
type rebuilt struct {
	app     *app
	dryRun  bool
	service string
	shown   map[rebuild.Kind][]rebuild.Finding
	more    map[rebuild.Kind]int
	opened  bool // the document
	first   bool // finding of the service
	err     error
}

func (a *app) showsRebuilt(dryRun bool) *rebuilt { return &rebuilt{app: a, dryRun: dryRun} }

func (r *rebuilt) write(text string) {
	if r.err == nil {
		_, r.err = io.WriteString(r.app.Stdout, text)
	}
}

func (r *rebuilt) begin(service string) {
	r.service, r.first = service, true
	r.shown, r.more = map[rebuild.Kind][]rebuild.Finding{}, map[rebuild.Kind]int{}
}

// open begins the document, or the next service in it. A run that is refused writes nothing before its error.
func (r *rebuilt) open() {
	if !r.first {
		return
	}
	r.first = false
	if r.opened {
		r.write(",\n")
	} else {
		r.write("{\"services\":[\n")
	}
	r.opened = true
	r.write(fmt.Sprintf("{\"service\":%q,\"findings\":[", r.service))
}

func (r *rebuilt) found(f rebuild.Finding) {
	if r.app.json {
		begins := r.first
		r.open()
		if !begins {
			r.write(",")
		}
		line, err := json.Marshal(f)
		r.err = errors.Join(r.err, err)
		r.write("\n" + string(line))
		return
	}
	made := f.Kind == rebuild.Differs && f.Was == "" // only counted: over an empty database it is every row
	switch {
	case made:
	case len(r.shown[f.Kind]) < findingsShown:
		r.shown[f.Kind] = append(r.shown[f.Kind], f)
	default:
		r.more[f.Kind]++
	}
}

// report ends a service. It is nil when the rebuild was refused.
func (r *rebuilt) report(report *driver.Report) error {
	if report == nil {
		return nil
	}
	if r.app.json {
		r.open()
		view := struct {
			*driver.Report
			ReadingSeconds float64 `json:"reading_seconds"`
			FoldingSeconds float64 `json:"folding_seconds"`
			Seconds        float64 `json:"seconds"`
		}{report, report.Reading.Seconds(), report.Folding.Seconds(), report.Took.Seconds()}
		end, err := json.Marshal(view)
		r.write("],\n\"report\":" + string(end) + "}")
		r.err = errors.Join(r.err, err)
		return r.err
	}
	p := r.app.printer()
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	header := []string{"service", "records", "made", "changed", "equal", "undecided", "unknown", "seconds"}
	p.Table(header, [][]string{{report.Service, number(report.Records), number(report.Made), number(report.Changed), number(report.Equal),
		number(report.Undecided), number(report.Unknown), fmt.Sprintf("%.1f", report.Took.Seconds())}}, header[1:]...)
	for _, kind := range []rebuild.Kind{rebuild.Differs, rebuild.Undecided, rebuild.Unknown} {
		for _, f := range r.shown[kind] {
			p.Line("  %s", finding(f, r.dryRun))
		}
		if r.more[kind] > 0 {
			p.Line("  and %d more that are %s; --json names all", r.more[kind], map[rebuild.Kind]string{rebuild.Differs: "changed",
				rebuild.Undecided: "undecided", rebuild.Unknown: "unknown"}[kind])
		}
	}
	verb := "reads again from"
	if r.dryRun {
		verb = "would read again from"
	}
	for _, m := range report.Moved {
		p.Line("  %s %s offset %d of %s/%d; it was at %d", m.Group, verb, m.To, m.Topic, m.Partition, m.From)
	}
	for _, note := range slices.Compact(report.Notes) {
		p.Line("  %s", note)
	}
	if report.Resumed {
		p.Line("  Some records were read by an earlier run that was ended.")
	}
	if r.dryRun {
		p.Line("  Nothing was changed: this was a dry run.")
	}
	return nil
}

// end ends the document.
func (r *rebuilt) end() error {
	if r.app.json && r.opened {
		r.write("\n]}\n")
	}
	return r.err
}

// finding formats one finding.
func finding(f rebuild.Finding, dryRun bool) string {
	because := ""
	if f.Why != "" {
		because = ": " + f.Why
	}
	switch {
	case f.Kind == rebuild.Unknown && f.Do != "":
		return fmt.Sprintf("%s is unknown%s; %s", f.Key, because, f.Do)
	case f.Kind == rebuild.Unknown:
		return fmt.Sprintf("%s is unknown%s", f.Key, because)
	case f.Kind == rebuild.Undecided:
		return fmt.Sprintf("%s is left to the service%s", f.Key, because)
	case dryRun:
		return fmt.Sprintf("%s would be %s; it is %s%s", f.Key, f.Is, f.Was, because)
	}
	return fmt.Sprintf("%s is %s; it was %s%s", f.Key, f.Is, f.Was, because)
}

// rebuilt shows the progress of a rebuild. A new step gets a line that stays.
func (l *liveLine) rebuilt(service string, p driver.Progress) {
	if p.Step != "" {
		l.end()
		l.app.note("%s: %s", service, p.Step)
		return
	}
	if now := time.Now(); now.Sub(l.last) > 200*time.Millisecond || p.Done >= p.Total {
		l.last = now
		l.show(fmt.Sprintf("%s: %d of %d", service, p.Done, p.Total))
	}
}
