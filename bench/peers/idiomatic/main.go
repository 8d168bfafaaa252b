package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "idiomatic:", err)
		os.Exit(1)
	}
}

// run does what the arguments say until it is done or ctx ends. Emails and the audit go to out, everything else to log.
func run(ctx context.Context, args []string, getenv func(string) string, out, log io.Writer) error {
	role := ""
	if len(args) > 0 {
		role = args[0]
	}
	if len(args) > 1 {
		return errors.New("more than one role")
	}
	cfg, err := readConfig(getenv, role)
	if err != nil {
		return err
	}
	if role == roleAudit {
		return audit(ctx, cfg, out)
	}
	return serve(ctx, cfg, out, log)
}
