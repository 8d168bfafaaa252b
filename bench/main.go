// Command bench measures the product, its peers, and the limits of Postgres, Kafka and HTTP, all in one run. It
// judges the goals of the product. docs/performance.md describes how to run it, and holds the results.
//
// Absolute figures of one machine mean little on another one. So most goals are ratios of figures that were
// measured in the same round on the same servers.
//
// Exit codes: 0 the run ended (its goals may be missed); 1 it failed; 2 wrong flags or variables; 130
// interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"pasdetrois/bench/parts"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	// The error of an interrupted run is only a consequence, so it is not shown.
	interrupted := ctx.Err() != nil
	stop()
	var usage usageError
	switch {
	case err == nil:
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	case interrupted:
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "bench:", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

// usageError is a wrong flag or variable; nothing was measured.
type usageError struct{ error }

// run runs one campaign, or one of the measured handlers with -serve. close also runs after an interrupt:
// otherwise databases and topics would stay on the servers.
func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	cfg, err := configure(args, getenv)
	if errors.Is(err, flag.ErrHelp) {
		return printHelp(out)
	}
	if err != nil {
		return usageError{err}
	}
	// A handler process needs no servers and no programs of its own.
	if cfg.serve != "" {
		return serve(ctx, cfg.serve, getenv)
	}
	c, err := prepare(ctx, cfg, out)
	if err != nil {
		return err
	}
	return errors.Join(c.run(ctx), c.close())
}

// serve makes this process one of the measured HTTP handlers, until ctx ends. The handlers are part of this
// program, so that they are built with the same compiler and libraries.
func serve(ctx context.Context, kind string, getenv func(string) string) error {
	address, database := getenv("HTTP_ADDR"), ""
	if address == "" {
		return usageError{fmt.Errorf("-serve %s: HTTP_ADDR is empty", kind)}
	}
	if kind == "transaction" {
		database = getenv("DATABASE_URL")
	}
	return parts.Serve(ctx, address, database)
}
