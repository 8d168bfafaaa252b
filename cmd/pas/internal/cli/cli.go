// Package cli is the command line of pas: its commands and flags, their output, and the report of failures.
//
// Every failure is one line on standard error, which says the cause and a way out, and one of three exit codes.
// Standard output holds only the requested output: text for people, or JSON documents with --json. Notes about
// progress go to standard error.
//
//	error         exit code  example
//	none          0
//	usage error   2          a wrong flag or variable: nothing was done (see usageError)
//	other         1          no connection, a check that does not hold, an interrupt
//
// Rules for a command:
//
//   - It lives in the file of its name and is made by a method of app. A test asks for its golden help text.
//   - It reads Program, never os.Args, os.Stdout or the environment itself: tests run many commands in one process.
//   - It checks all flags before its first request, so that a usage error has no effect.
//   - Each request has a time limit, Program.Patience, so that no command hangs on a silent server. A command that waits for
//     longer than a moment notes on standard error what it waits for (app.patient).
//   - With --json it writes one document, also for an empty list. Field names are a contract with scripts.
//     Commands that follow topics write one document per line.
//   - A password comes from the environment or a file, and appears in no error.
//   - An error without an obvious remedy gets one where it is made, with hint.Add.
//   - Text that comes from records or users passes render.Plain before it is printed.
package cli

import (
	"cmp"
	"context"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/terminal"
)

// The exit codes.
const (
	// Scripts depend on these numbers; another kind of failure needs a new one.
	ExitOK      = 0 // done
	ExitFailure = 1 // it could not be done, or did not come out as asked
	ExitUsage   = 2 // wrong flags, arguments or configuration; nothing was done
)

// Version is the version of the tool.
const Version = "1.0.0"

// Program is one run of the tool. Run reads nothing else of its process.
type Program struct {
	Args    []string
	Environ map[string]string
	Stdin   io.Reader // nil: no person can answer a question
	Stdout  io.Writer
	Stderr  io.Writer
	// Patience bounds each wait for an answer of Kafka, Postgres or a service; 0 is 30 s. After NoticeAfter a command notes
	// what it waits for; 0 is 3 s.
	Patience, NoticeAfter time.Duration
}

// app is the state that the commands of one run share.
type app struct {
	Program
	json   bool
	colour string
	ran    bool // a command began: a later error is a failure, unless it marks itself as a usage error
}

// Run runs the command that the arguments name and returns the exit code. A cancelled ctx ends the command; the
// command cleans up before Run returns.
func Run(ctx context.Context, p Program) int {
	p.Stdout, p.Stderr = terminal.Safe(p.Stdout), terminal.Safe(p.Stderr) // most of the output comes from users and other producers
	p.Patience, p.NoticeAfter = cmp.Or(p.Patience, patience), cmp.Or(p.NoticeAfter, noticeAfter)
	a := &app{Program: p}
	root := a.root()
	root.SetArgs(p.Args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	failed, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	usage := isUsage(err)
	// The names of Kafka's errors, such as UNKNOWN_TOPIC_ID, are replaced by their meaning.
	line, code := kafka.InWords(explain(err), err), ExitFailure
	if usage || !a.ran {
		code = ExitUsage
	}
	if !usage && !a.ran { // the error is cobra's own and has no hint
		line = withHint(line, "see `"+failed.CommandPath()+" --help`")
	}
	render.New(p.Stderr, a.colour, p.Environ).Line("pas: %s", oneLine(line))
	return code
}

const rootLong = `pas is the tool of Pas de Trois, an order-processing choreography of three independent services
(orders, payments, notifications) that talk only over Kafka.

Start with "pas demo", which needs nothing else to be running, or with "pas up", which keeps the same
system running here so that the other commands can talk to it.

Exit codes: 0 done; 1 it failed or did not come out as asked; 2 wrong flags, arguments or configuration.
An error is one line on standard error. With --json, standard output is one JSON document.

Where the services are: PAS_ORDERS_URL, PAS_ORDERS_ADMIN_URL, PAS_PAYMENTS_URL, PAS_PAYMENTS_ADMIN_URL,
PAS_NOTIFICATIONS_URL and PAS_NOTIFICATIONS_ADMIN_URL; without them, the usual ports of this machine.
Admin APIs that ask for it get the token of PAS_ADMIN_TOKEN_FILE or PAS_ADMIN_TOKEN, or the client certificate of
PAS_ADMIN_TLS_CERT_FILE and PAS_ADMIN_TLS_KEY_FILE; PAS_ADMIN_TLS_CA_FILE has the authorities of their certificates.
Those of a "pas up" in this folder get its token by themselves.
Where callers log in, PAS_TOKEN_FILE names a file that has a token of the login server, or PAS_TOKEN has it.`

// root makes the tree of commands with the flags that all of them have. The checks of cobra are replaced where
// their errors do not name a way out.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "pas",
		Short: "Run and use Pas de Trois, an order-processing choreography",
		Long:  rootLong,
		Example: `  pas demo                                  play every scenario and check its outcome
  pas up                                    run the whole system here until Ctrl-C
  pas order --user ada --item vinyl-swan-lake=2 --wait
  pas dead-letters list`,
		// Run itself prints the error, as one line with a hint. cobra would print it with the usage text.
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	asGroup(root)
	// `pas completion` appears in the help.
	root.CompletionOptions.HiddenDefaultCmd = false
	root.PersistentFlags().BoolVar(&a.json, "json", false, "write one JSON document instead of text")
	root.PersistentFlags().StringVar(&a.colour, "color", "auto", "use colour: auto (on a terminal), always or never")
	// This check runs for every command, so a subcommand must not define a PersistentPreRunE of its own.
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		switch a.colour {
		case "auto", "always", "never":
			return nil
		default:
			return usagef("--color %q is not one of auto, always, never", a.colour)
		}
	}
	// A wrong flag names the command that has the right ones.
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s; see `%s --help`", withoutFunction.ReplaceAllString(err.Error(), ""), cmd.CommandPath())
	})
	for _, cmd := range []*cobra.Command{a.demo(), a.up(), a.order(), a.show(), a.cancel(), a.inventory(), a.deadLetters(), a.emails(), a.user(),
		a.topics(), a.simulate(), a.tail(), a.windows(), a.rest(), a.audit(), a.replay(), a.rebuild(), a.migrate(), a.version()} {
		root.AddCommand(cmd)
	}
	checkHelp(root)
	return root
}

// withoutFunction matches the function name that Go's parsers put in front of their errors. It means nothing to
// a user.
var withoutFunction = regexp.MustCompile(`strconv\.\w+: parsing "[^"]*": `)

// runs makes a command's RunE. It marks the command as begun: until then every error is a usage error, since
// cobra's own checks of flags and arguments do not mark theirs.
func (a *app) runs(run func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.ran = true
		return run(cmd, args)
	}
}

// asGroup makes a command that only has subcommands. Alone it shows its help; with an unknown subcommand it
// fails. Without this, cobra would show the help and exit with 0, and a script with a typing error would
// succeed.
func asGroup(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return unknownCommand(cmd, args[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// unknownCommand returns the error for an unknown subcommand, with similar names where there are any.
func unknownCommand(cmd *cobra.Command, name string) error {
	hint := ""
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		hint = ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("%s has no command %q%s; see `%s --help`", cmd.CommandPath(), name, hint, cmd.CommandPath())
}

// checkHelp makes `pas help` fail for an unknown command. cobra would show the help of the command above it.
func checkHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	cobra.CheckErr(err)
	help.Args = func(_ *cobra.Command, names []string) error {
		found, rest, err := root.Find(names)
		if err == nil && len(rest) > 0 {
			return unknownCommand(found, rest[0])
		}
		return err
	}
}

// args wraps a check of arguments: its error then shows the usage line of the command.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return usagef("%s; usage: %s", err, cmd.UseLine())
		}
		return nil
	}
}

// printer returns a printer of standard output. It is made for each use, since --color is parsed late.
func (a *app) printer() *render.Printer { return render.New(a.Stdout, a.colour, a.Environ) }
