// Package run is the process of a service: environment, signals, log, exit codes, subcommands, and the stages of a graceful stop.
//
//	Parse --> Validate --> log, memory limits --> start(ctx) --> exit 0
//	  | exit 2   | exit 2                            | error: exit 1
//
//	first SIGTERM or Ctrl-C: ctx ends, and start drains; a second one ends the process at once
package run

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The exit codes of Main.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // wrong configuration or subcommand: nothing was started
)

// healthTimeout bounds the subcommand healthcheck. It has to be below the time-out of the orchestrator that runs it.
const healthTimeout = 2 * time.Second

// Config is a service's parsed configuration. Admin must work without a call of Validate. A configuration whose method AdminTLS
// returns true has an admin listener that speaks TLS.
type Config interface {
	// Validate returns all problems joined.
	Validate() error
	// Admin returns the admin listener's address, for healthcheck.
	Admin() string
	// Logging returns level and format.
	Logging() (level, format string)
}

// Main is a service's whole main and returns its exit code. It parses the configuration and prints all problems at once: exit 2,
// nothing started. Subcommands: healthcheck asks a running service's /livez (exit 0 or 1), version, help. The first signal
// begins the drain; a second one ends the process at once. start returns when the drain is over, nil if nothing went wrong.
func Main[C Config](ctx context.Context, service string, args []string, environ map[string]string, stdout, stderr io.Writer,
	start func(ctx context.Context, cfg C, log *slog.Logger) error) int {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "", "healthcheck":
	case "version":
		fmt.Fprintln(stdout, service, version())
		return exitOK
	case "help", "-h", "--help":
		usage[C](stdout, service)
		return exitOK
	default:
		fmt.Fprintf(stderr, "%s: unknown subcommand %q\n", service, command)
		usage[C](stderr, service)
		return exitUsage
	}

	cfg, err := Parse[C](environ)
	if command == "healthcheck" {
		if err == nil || cfg.Admin() != "" {
			secured, ok := any(cfg).(interface{ AdminTLS() bool })
			err = healthcheck(ctx, cfg.Admin(), ok && secured.AdminTLS())
		}
		if err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", service, err)
			return exitFailed
		}
		return exitOK
	}
	if err = errors.Join(err, cfg.Validate()); err != nil {
		fmt.Fprintf(stderr, "%s: the configuration is wrong, nothing was started:\n", service)
		for _, line := range strings.Split(err.Error(), "\n") {
			fmt.Fprintln(stderr, "  -", line)
		}
		return exitUsage
	}
	level, format := cfg.Logging()
	log, err := Logger(stdout, service, level, format)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", service, err)
		return exitUsage
	}

	if limit := tuneGC(environ, memlimit.FromCgroup); limit < smallLimit {
		log.Warn(fmt.Sprintf("%d MiB of memory are few: give the service %d MiB or more", limit>>20, smallLimit>>20))
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	go giveBack(ctx)
	// After the first signal, a second one has its usual effect and ends the process.
	context.AfterFunc(ctx, stop)
	log.Info("starting", "version", version())
	if err := start(ctx, cfg, log); err != nil {
		log.Error("stopped", "err", err)
		return exitFailed
	}
	log.Info("stopped")
	return exitOK
}

// version is the commit of the build, else the module's version. A build outside of a repository has no commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}

// healthcheck asks /livez of the service on this machine. It needs no other program in the container, such as curl. A listener on
// all addresses is asked on loopback. Over TLS the certificate is not verified: it names the service and not loopback, and the
// request has no secret in it.
func healthcheck(ctx context.Context, admin string, secured bool) error {
	host, port, err := net.SplitHostPort(admin)
	if err != nil {
		return fmt.Errorf("ADMIN_ADDR %q is not host:port", admin)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http://"
	if secured {
		scheme = "https://"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+net.JoinHostPort(host, port)+"/livez", nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	// A client of its own uses no proxy and leaves no connection open.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: %s", resp.Status)
	}
	return nil
}
