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

// run runs the tool until it is done. The first signal ends what it does cleanly, a second one at once.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)
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
