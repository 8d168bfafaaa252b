// Package run starts and stops a service: signals, logging, the order of shutdown, the healthcheck subcommand.
package run

import (
	"context"
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
	"sync"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/caarlos0/env/v11"

	"pasdetrois/pkg/platform/terminal"
)

// The exit codes of Main.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // wrong configuration or subcommand: nothing was started
)

const healthTimeout = 2 * time.Second

// Config is a service's parsed configuration.
type Config interface {
	// Validate returns all problems joined.
	Validate() error
	// Admin returns the admin listener's address, for healthcheck.
	Admin() string
	// Logging returns level and format.
	Logging() (level, format string)
}

// Logger makes the service's slog logger: JSON or text by format, at level, with the key service. Its lines are safe for a
// terminal: errors quote what strangers wrote.
func Logger(w io.Writer, service, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is none of debug, info, warn, error", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(terminal.Safe(w), opts)).With("service", service), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)).With("service", service), nil
	}
	return nil, fmt.Errorf("log format %q is neither json nor text", format)
}

// Main is a service's whole main and returns its exit code. It reads the configuration from environ and says all that is
// wrong with it at once (exit 2, nothing started). For each variable NAME of the configuration that is not set, NAME_FILE
// may name a file with its value. Subcommands: healthcheck asks a running service's /livez (exit 0 or 1), version, help.
// The first signal begins the drain, a second one ends at once.
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
			err = healthcheck(ctx, cfg.Admin())
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
	log, err := Logger(stdout, service, first(cfg.Logging()), second(cfg.Logging()))
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
	// From the first signal on a second one has its usual effect: it ends the process.
	context.AfterFunc(ctx, stop)
	log.Info("starting", "version", version())
	if err := start(ctx, cfg, log); err != nil {
		log.Error("stopped", "err", err)
		return exitFailed
	}
	log.Info("stopped")
	return exitOK
}

func first(a, _ string) string  { return a }
func second(_, b string) string { return b }

// Parse reads C from environ, with the files that NAME_FILE variables name. A value that cannot be read is left at its
// default, so that the rest can still be validated.
func Parse[C any](environ map[string]string) (C, error) {
	var cfg C
	fields, err := env.GetFieldParams(&cfg)
	if err != nil {
		return cfg, fmt.Errorf("read configuration: %w", err)
	}
	values := make(map[string]string, len(fields))
	var errs []error
	for _, f := range fields {
		value := environ[f.Key]
		if file := environ[f.Key+"_FILE"]; value == "" && file != "" {
			content, err := os.ReadFile(file)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s_FILE: %w", f.Key, err))
				continue
			}
			value = strings.TrimSpace(string(content))
		}
		if value == "" {
			continue
		}
		var alone C
		if err := env.ParseWithOptions(&alone, env.Options{Environment: map[string]string{f.Key: value}}); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Key, cause(err)))
			continue
		}
		values[f.Key] = value
	}
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: values}); err != nil {
		errs = append(errs, err)
	}
	return cfg, errors.Join(errs...)
}

// cause takes the name of the Go field off a parse error: who sets a variable knows the variable's name.
func cause(err error) error {
	var all env.AggregateError
	if errors.As(err, &all) && len(all.Errors) == 1 {
		err = all.Errors[0]
	}
	var field env.ParseError
	if errors.As(err, &field) {
		return field.Err
	}
	return err
}

func usage[C Config](w io.Writer, service string) {
	fmt.Fprintf(w, "usage: %s [healthcheck|version|help]\n\nWithout a subcommand the service runs until SIGTERM or Ctrl-C. It is configured by its environment\n(each NAME may also be given as NAME_FILE, a file with the value):\n\n", service)
	var cfg C
	fields, err := env.GetFieldParams(&cfg)
	if err != nil {
		return
	}
	longest := 0
	for _, f := range fields {
		longest = max(longest, len(f.Key))
	}
	for _, f := range fields {
		fmt.Fprintf(w, "  %-*s  default %q\n", longest, f.Key, f.DefaultValue)
	}
}

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

func healthcheck(ctx context.Context, admin string) error {
	host, port, err := net.SplitHostPort(admin)
	if err != nil {
		return fmt.Errorf("ADMIN_ADDR %q is not host:port", admin)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/livez", nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	// Of its own: no proxy between us and ourselves, and no connection left over.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
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

// Component is a long-running part of a service.
type Component struct {
	Name string
	Run  func(ctx context.Context) error // returns nil after ctx ends
}

// Stages runs components in stages: all start together; when ctx ends, or one component fails or returns early, the
// stages are stopped first to last, each stage's context cancelled only after every component of the one before has
// returned. It returns the first failure. A panic in a component is a failure.
func Stages(ctx context.Context, log *slog.Logger, stages ...[]Component) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	type running struct {
		cancel context.CancelFunc
		done   *sync.WaitGroup
	}
	var all []running
	var once sync.Once
	var failure error
	fail := func(err error) {
		once.Do(func() { failure = err })
		stop(err)
	}
	for _, stage := range stages {
		stageCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		r := running{cancel, &sync.WaitGroup{}}
		all = append(all, r)
		for _, c := range stage {
			r.done.Go(func() {
				err := guarded(stageCtx, c)
				switch {
				case err != nil && !(stageCtx.Err() != nil && errors.Is(err, context.Canceled)):
					log.Error("a component failed", "status", c.Name, "err", err)
					fail(fmt.Errorf("%s: %w", c.Name, err))
				case stageCtx.Err() == nil:
					fail(fmt.Errorf("%s: stopped by itself", c.Name))
				}
			})
		}
	}
	<-ctx.Done()
	for _, r := range all {
		r.cancel()
		r.done.Wait()
	}
	return failure
}

func guarded(ctx context.Context, c Component) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return c.Run(ctx)
}
