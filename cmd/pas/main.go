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
	// `pas demo | head` must not leave a database behind: a reader that goes away ends the command, not the process.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], &pipe{os.Stdout, cancel}, os.Stderr))
}

// patience is how many signals it takes to end at once. The first one ends cleanly, which takes seconds at most; an
// impatient second one must not leave a database server behind.
const patience = 3

// run runs the tool until it is done or a signal ends it.
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
	return cli.Run(ctx, cli.Program{Args: args, Environ: environ(), Stdout: stdout, Stderr: stderr})
}

// pipe is an output that tells when nobody reads it any more.
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

func environ() map[string]string {
	vars := map[string]string{}
	for _, entry := range os.Environ() {
		if name, value, ok := strings.Cut(entry, "="); ok {
			vars[name] = value
		}
	}
	return vars
}
