package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/toolbox/hint"
)

// errScenarios means that the demo ran to its end and that at least one scenario failed.
var errScenarios = errors.New("not every scenario passed")

// demoView is the result of the demo, as --json shows it. Log is set when the log file remains. Scenarios has
// one entry for each scenario that was played, in that order.
type demoView struct {
	Pass      bool           `json:"pass"`
	Seconds   float64        `json:"seconds"`
	Log       string         `json:"log,omitempty"`
	Scenarios []scenarioView `json:"scenarios"`
}

// scenarioView is one scenario in that JSON. Error is "" when it passed.
type scenarioView struct {
	Name    string           `json:"name"`
	Title   string           `json:"title"`
	Pass    bool             `json:"pass"`
	Error   string           `json:"error,omitempty"`
	Seconds float64          `json:"seconds"`
	Orders  []scenario.Shown `json:"orders"`
	Notes   []string         `json:"notes"`
}

// demo makes `pas demo`: the quickest proof that the whole system works. Without DATABASE_URL and KAFKA_BROKERS
// it needs no other program, no root and no fixed port, so several demos can run at a time.
func (a *app) demo() *cobra.Command {
	var only []string
	var logFile string
	var list bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start everything in this process and play every scenario",
		Long: `Start a private Postgres, an in-process Kafka-protocol broker and the three services in this process, play every
scenario through the public HTTP API and a plain Kafka client, check each outcome, show the timelines and emails, and
clean up. It needs no Docker, no root and nothing that runs already, and it leaves nothing behind.

DATABASE_URL (a superuser's) and KAFKA_BROKERS, where set, are used instead of the private Postgres and the embedded
broker: the demo makes a database and topics of its own there and removes them at the end.

Exit code 0 means that every scenario passed, 1 that one did not. The services' logs are kept only on failure.

The embedded broker (kfake) is made for demos and tests: it speaks Kafka's protocol but does not promise durability.
Run the services against a real Kafka for that (compose.yaml).`,
		Example: `  pas demo
  pas demo --only confirmed --only delivered-twice
  pas demo --list
  pas demo --json > demo.json
  KAFKA_BROKERS=localhost:9092 pas demo`,
		Args: args(cobra.NoArgs),
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			scenarios := scenario.All()
			if len(only) > 0 {
				var err error
				if scenarios, err = scenario.Find(only...); err != nil {
					return usagef("--only: %s", err)
				}
			}
			if list {
				return a.listScenarios(scenarios)
			}
			return a.play(cmd.Context(), scenarios, logFile)
		}),
	}
	cmd.Flags().StringSliceVar(&only, "only", nil, "play only this scenario; can be repeated")
	cmd.Flags().BoolVar(&list, "list", false, "list the scenarios and play none")
	cmd.Flags().StringVar(&logFile, "log", "", "write the services' logs to this file and keep it")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("only", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, s := range scenario.All() {
			names = append(names, s.Name+"\t"+s.Title)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}))
	return cmd
}

// listScenarios shows names and titles. Nothing is started.
func (a *app) listScenarios(scenarios []scenario.Scenario) error {
	if a.json {
		views := make([]map[string]string, len(scenarios))
		for i, s := range scenarios {
			views[i] = map[string]string{"name": s.Name, "title": s.Title}
		}
		return a.printer().JSON(map[string]any{"items": views})
	}
	rows := make([][]string, len(scenarios))
	for i, s := range scenarios {
		rows[i] = []string{s.Name, s.Title}
	}
	a.printer().Table([]string{"scenario", "what"}, rows)
	return nil
}

// play starts the stack, plays the scenarios on it one after the other, and shows their outcomes. A failed
// scenario does not end the demo. Every way out stops the stack, and removes the borrowed databases and topics.
// The log file is kept or removed. Only a third signal prevents all that.
func (a *app) play(ctx context.Context, scenarios []scenario.Scenario, logFile string) error {
	began := time.Now()
	logs, err := openLog(logFile)
	if err != nil {
		return err
	}
	cfg := stack.Config{Log: logs.logger()}
	// The database and the topics come first: the stack connects to them when it starts.
	lent, err := a.borrow(ctx, &cfg)
	if err != nil {
		return errors.Join(err, lent.giveBack(ctx), logs.remove())
	}
	p := a.printer()
	if !a.json {
		p.Line("Starting %s ...", lent.describe())
	}
	s, err := stack.Start(ctx, cfg)
	if err != nil {
		return logs.keep(errors.Join(err, lent.giveBack(ctx)))
	}
	if !a.json {
		p.Line("Ready after %s. Playing %d scenarios.\n", render.Seconds(time.Since(began)), len(scenarios))
	}
	outcomes := make([]scenario.Outcome, 0, len(scenarios))
	for i, sc := range scenarios {
		if ctx.Err() != nil {
			break
		}
		o := scenario.Play(ctx, scenario.On(s), sc)
		outcomes = append(outcomes, o)
		if !a.json {
			p.Outcome(i+1, len(scenarios), o)
		}
	}
	// The stack ends before its database and topics are removed, or its services would report errors.
	stopErr := errors.Join(s.Stop(), lent.giveBack(ctx))
	// An interrupted demo has no verdict: the scenarios that did not run are no failures.
	if ctx.Err() != nil {
		return errors.Join(logs.remove(), ctx.Err())
	}
	err = a.verdict(outcomes, stopErr, time.Since(began), logs)
	if err != nil {
		return logs.keep(err)
	}
	return logs.remove()
}

// verdict shows the table and the last line, or the JSON document, and returns the failure of the demo, if any.
// A stack that does not stop cleanly fails the demo too: it may have left a server running.
func (a *app) verdict(outcomes []scenario.Outcome, stopErr error, took time.Duration, logs *logFile) error {
	view := demoView{Pass: stopErr == nil, Seconds: took.Seconds(), Scenarios: []scenarioView{}}
	var failed []string
	for _, o := range outcomes {
		v := scenarioView{Name: o.Scenario, Title: o.Title, Pass: o.Err == nil, Seconds: o.Took.Seconds(), Orders: o.Shown, Notes: o.Notes}
		if o.Err != nil {
			v.Error = o.Err.Error()
			failed = append(failed, o.Scenario)
			view.Pass = false
		}
		view.Scenarios = append(view.Scenarios, v)
	}
	p := a.printer()
	if a.json {
		// Without a failure the file is removed, so its path would mislead.
		if !view.Pass || logs.asked {
			view.Log = logs.path
		}
		if err := p.JSON(view); err != nil {
			return err
		}
	} else {
		p.Outcomes(outcomes)
		p.Line("")
		last := p.Good("PASS")
		if !view.Pass {
			last = p.Bad("FAIL")
		}
		p.Line("%s  %d of %d scenarios passed in %s", last, len(outcomes)-len(failed), len(outcomes), render.Seconds(took))
	}
	switch {
	case len(failed) > 0:
		return fmt.Errorf("%w: %s", errScenarios, strings.Join(failed, ", "))
	case stopErr != nil:
		return fmt.Errorf("the system did not stop cleanly: %w", stopErr)
	}
	return nil
}

// logFile is the file of the services' log lines. It outlives the demo after a failure, or when the user named
// it.
type logFile struct {
	file  *os.File
	path  string
	asked bool // the user named the file, so it stays
}

// openLog creates the log file: at path, or as a temporary one for "". The file must exist before the stack
// starts.
func openLog(path string) (*logFile, error) {
	var file *os.File
	var err error
	if path == "" {
		file, err = os.CreateTemp("", "pas-demo-*.log")
	} else {
		file, err = os.Create(path)
	}
	if err != nil {
		return nil, usagef("the log file cannot be written: %s", err)
	}
	return &logFile{file: file, path: file.Name(), asked: path != ""}, nil
}

// logger returns a log at debug level: the file is read only after a failure, and then every detail helps.
func (l *logFile) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l.file, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// keep leaves the file and adds its path to the error as a hint. For a busy port and an interrupt the logs
// explain nothing, so the file is removed.
func (l *logFile) keep(err error) error {
	_ = l.file.Close()
	var busy *stack.PortBusyError
	if errors.As(err, &busy) || errors.Is(err, context.Canceled) {
		return errors.Join(err, l.remove())
	}
	return hint.Add(err, "the services' logs are in %s", l.path)
}

// remove removes the file unless the user asked for it.
func (l *logFile) remove() error {
	_ = l.file.Close()
	if l.asked {
		return nil
	}
	return os.Remove(l.path)
}
