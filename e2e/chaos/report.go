package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// line is one row of the report.
type line struct {
	Row, Faults         string
	Size                int
	Seed                uint64
	Orders              int
	verdict             verdict
	P50, P99            float64 // of POST, milliseconds
	Drain, Slow, Lasted time.Duration
	Peak                int64 // bytes
	Day                 time.Time
	Kafka               string // its version
}

const head = `| row | faults | seed | orders taken | lost | doubled | oversold | unsettled | POST p50, p99 | drained after | slowest recovery | most memory | lasted | day | verdict |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|`

// String is the line of the table.
func (l line) String() string {
	said := "holds"
	switch n := len(l.verdict.Problems); {
	case n == 1:
		said = "**1 problem**"
	case n > 1:
		said = fmt.Sprintf("**%d problems**", n)
	}
	return fmt.Sprintf("| %s | %d %s | %d | %d | %d | %d | %d | %d | %.0f ms, %.0f ms | %.1f s | %.1f s | %d MiB | %.0f min | %s | %s |",
		l.Row, l.Size, l.Faults, l.Seed, l.Orders, l.verdict.Lost, l.verdict.Doubled, l.verdict.Oversold, l.verdict.Unsettled,
		l.P50, l.P99, l.Drain.Seconds(), l.Slow.Seconds(), l.Peak>>20, l.Lasted.Minutes(), l.Day.Format(time.DateOnly), said)
}

const intro = `# Chaos

` + "`make chaos`" + ` breaks a whole system while customers place 100 orders a second, and writes this page. On a real Kafka and a real
Postgres it runs two replicas of each service with the settings that compose ships. A supervisor starts a process that
ended again after a second. A seed chooses the faults. At the end the audit of ` + "`pas audit --topics`" + ` and the notes of all
customers must agree. ` + "`make chaos ROW=kills SIZE=1000 SEED=7`" + ` runs one row.

- **lost**: an order that was taken and is not there. **doubled**: a customer with two orders, or two charges.
- **oversold**: a product of which more is sold or set aside than there was. **unsettled**: an order without an end 60 s
  after the last one was placed.
- **POST** counts every request, also those without an answer, from sending.
- **slowest recovery**: the longest time after a fault until every order that was placed before had its end, and a new one had
  passed through all three services.

`

// write puts the line into the report at path, in place of an older one of the same row.
func write(path string, l line) error {
	lines := map[string]string{}
	var order []string
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("read the report: %w", err)
	}
	keep := func(name, text string) {
		if _, known := lines[name]; !known {
			order = append(order, name)
		}
		lines[name] = text
	}
	for text := range strings.Lines(string(content)) {
		cells := strings.Split(text, "|")
		if len(cells) == strings.Count(head, "|")/2+1 && !strings.HasPrefix(text, "|---") && !strings.HasPrefix(text, "| row |") {
			keep(strings.TrimSpace(cells[1]), strings.TrimSpace(text))
		}
	}
	keep(l.Row, l.String())
	var out strings.Builder
	out.WriteString(intro)
	out.WriteString(head)
	for _, name := range order {
		out.WriteString("\n" + lines[name])
	}
	fmt.Fprintf(&out, "\n\nLast run on %s, Kafka %s.\n", machine(), l.Kafka)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// machine says where this runs, in words.
func machine() string {
	postgres := "an unknown version"
	for _, path := range []string{"postgres", "/usr/lib/postgresql/15/bin/postgres"} {
		if out, err := exec.Command(path, "--version").Output(); err == nil {
			postgres = strings.TrimPrefix(strings.TrimSpace(string(out)), "postgres (PostgreSQL) ")
			break
		}
	}
	return fmt.Sprintf("%d processors (%s/%s), which Kafka, Postgres, all services and all customers share; %s, Postgres %s",
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), postgres)
}
