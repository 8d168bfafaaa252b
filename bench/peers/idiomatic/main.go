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
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "idiomatic:", err)
		os.Exit(1)
	}
}

// run runs the role that the arguments name, until it is finished or ctx ends. Emails and the audit go to out,
// logs to log.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	if len(args) > 1 {
		return errors.New("more than one role")
	}
	role := ""
	if len(args) == 1 {
		role = args[0]
	}
	cfg, err := readConfig(nil, role)
	if err != nil {
		return err
	}
	if role == roleAudit {
		return audit(ctx, cfg, out)
	}
	return serve(ctx, cfg, out, log)
}
