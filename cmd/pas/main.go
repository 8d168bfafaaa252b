// Command pas runs and uses Pas de Trois, an order-processing choreography of three services. See `pas --help`.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"pasdetrois/cmd/pas/internal/cli"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// SIGPIPE is ignored, so that a closed output cancels the command and does not kill the process.
	// `pas demo | head` must still stop its Postgres and remove its files.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], &pipe{os.Stdout, cancel}, os.Stderr))
}

// patience is the number of signals after which the process exits at once. The first signal ends the command
// cleanly, which takes seconds at most. The second one is ignored: an impatient user must not leave a database
// server behind.
const patience = 3

// run runs the tool until the command returns or a signal cancels it, and returns the exit code. The third
// signal exits the process with cli.ExitFailure and cleans up nothing.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, patience)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for count := 1; ; count++ {
			select {
			case <-signals:
				cancel()
			case <-done:
				return
			}
			if count == patience {
				os.Exit(cli.ExitFailure)
			}
		}
	}()
	defer close(done)
	defer signal.Stop(signals)
	return cli.Run(ctx, cli.Program{Args: args, Environ: environ(), Stdin: os.Stdin, Stdout: stdout, Stderr: stderr})
}

// pipe is a standard output that calls broken on each failed write. Without it, a command whose reader has gone
// would run to its end unseen.
type pipe struct {
	*os.File
	broken func()
}

func (p *pipe) Write(b []byte) (int, error) {
	n, err := p.File.Write(b)
	if err != nil {
		p.broken()
	}
	return n, err
}

// environ returns the environment as a map. Commands read this map and never os.Getenv, so that a test gives
// its own.
func environ() map[string]string {
	vars := map[string]string{}
	for _, entry := range os.Environ() {
		if name, value, ok := strings.Cut(entry, "="); ok {
			vars[name] = value
		}
	}
	return vars
}
