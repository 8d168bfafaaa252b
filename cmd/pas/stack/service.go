package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/services/notifications"
	"pasdetrois/services/orders"
	"pasdetrois/services/payments"
	"pasdetrois/toolbox/client"
)

// service is one of the three services: its addresses, which never change, and its present run, if any.
//
//	listening --start--> running --stop, or its own end--> stopped --start--> running
//	                                                          (on new listeners at the old addresses)
//
// The first run takes over the listeners that listenAll opened. A later run must open the old addresses again;
// this fails when another program has taken one in between.
type service struct {
	name          string
	stack         *Stack
	public, admin string // host:port

	mu      sync.Mutex
	waiting []net.Listener // public and admin, open before the first run
	current *serviceRun    // nil while the service is stopped
}

// serviceRun is one run of a service. err may be read only after done is closed.
type serviceRun struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the run has ended
	err    error         // nil after a requested, clean stop
}

// listenAll opens the ports of all services, so that a busy port fails before anything heavy starts. On an
// error it returns the services so far, whose open listeners Stop closes.
func listenAll(s *Stack) (map[string]*service, error) {
	services := map[string]*service{}
	for _, name := range messages.Services() {
		svc := &service{name: name, stack: s}
		services[name] = svc
		public, err := Listen(name, s.cfg.Ports.Public[name])
		if err != nil {
			return services, err
		}
		svc.waiting = append(svc.waiting, public)
		admin, err := Listen(name+" (admin)", s.cfg.Ports.Admin[name])
		if err != nil {
			return services, err
		}
		svc.waiting = append(svc.waiting, admin)
		svc.public, svc.admin = public.Addr().String(), admin.Addr().String()
	}
	return services, nil
}

func (svc *service) endpoint() client.Endpoint {
	admin := "http://"
	if svc.stack.cfg.Environ[adminCert] != "" {
		admin = "https://"
	}
	return client.Endpoint{Public: "http://" + svc.public, Admin: admin + svc.admin}
}

// start begins a run and does not wait until the service is ready. It uses the listeners that are open already
// or, after a stop, new ones at the old addresses. A running service is an error. When the second listener
// cannot be opened, the first one stays in waiting, and close closes it.
func (svc *service) start() error {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	if svc.current != nil && !svc.current.ended() {
		return fmt.Errorf("%s is running already", svc.name)
	}
	for _, addr := range []string{svc.public, svc.admin} {
		if len(svc.waiting) == 2 {
			break
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("start %s: %w", svc.name, err)
		}
		svc.waiting = append(svc.waiting, l)
	}
	public, admin := svc.waiting[0], svc.waiting[1]
	svc.waiting = nil
	ctx, cancel := context.WithCancel(context.Background())
	run := &serviceRun{cancel: cancel, done: make(chan struct{})}
	svc.current = run
	go func() {
		defer close(run.done)
		defer cancel()
		// A run that ends before its cancellation has died, with or without an error. A cancelled run that returns
		// context.Canceled has stopped cleanly.
		run.err = safely(func() error { return svc.stack.run(ctx, svc.name, public, admin) })
		switch {
		case ctx.Err() == nil && run.err == nil:
			run.err = errors.New("it ended by itself")
		case errors.Is(run.err, context.Canceled):
			run.err = nil
		}
		if ctx.Err() == nil {
			svc.stack.died <- fmt.Errorf("%s: %w", svc.name, run.err)
		}
	}()
	return nil
}

// safely turns a panic on fn's own goroutine into an error, so that Stop still runs and leaves no Postgres
// behind. A panic on a goroutine that fn started still ends the process.
func safely(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return fn()
}

func (r *serviceRun) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// stop cancels the present run, waits until it has drained, and returns its error. It holds the lock meanwhile,
// so that a concurrent start waits. The service's own drain limit bounds the wait.
func (svc *service) stop() error {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	run := svc.current
	if run == nil {
		return nil
	}
	svc.current = nil
	run.cancel()
	<-run.done
	return run.err
}

// forget drops a run that has ended and whose error the caller has already. Otherwise stop would return it a
// second time.
func (svc *service) forget(run *serviceRun) {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	if svc.current == run {
		svc.current = nil
	}
}

// close stops the service and closes listeners that no run has taken over. No run may be started afterwards.
func (svc *service) close() error {
	err := svc.stop()
	for _, l := range svc.waiting {
		_ = l.Close()
	}
	return err
}

// StopService stops the service as a SIGTERM does: it drains and then ends. It returns when the run has ended.
// A stopped service is no error. ctx is not used: a half-stopped service would be of no use to the caller.
func (s *Stack) StopService(_ context.Context, name string) error {
	svc, err := s.service(name)
	if err != nil {
		return err
	}
	return svc.stop()
}

// StartService starts a stopped service at its old addresses and returns when it is ready. A running service is
// an error. When ctx ends first, the service keeps running.
func (s *Stack) StartService(ctx context.Context, name string) error {
	svc, err := s.service(name)
	if err != nil {
		return err
	}
	if err := svc.start(); err != nil {
		return err
	}
	return s.awaitReady(ctx, svc)
}

func (s *Stack) service(name string) (*service, error) {
	svc, ok := s.services[name]
	if !ok {
		return nil, fmt.Errorf("there is no service %q, only %s", name, strings.Join(messages.Services(), ", "))
	}
	return svc, nil
}

// awaitReady polls the service's readiness until it is ready. It fails when the run ends first, when ctx ends,
// or after readyTime; in the latter two cases the error holds the last answer, which names the check that
// fails.
func (s *Stack) awaitReady(ctx context.Context, svc *service) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	svc.mu.Lock()
	run := svc.current
	svc.mu.Unlock()
	if run == nil {
		return fmt.Errorf("%s was stopped", svc.name)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.client.Ready(ctx, svc.name)
		if err == nil {
			return nil
		}
		select {
		case <-run.done:
			svc.forget(run)
			return fmt.Errorf("%s did not start: %w", svc.name, run.err)
		case <-ctx.Done():
			return fmt.Errorf("%s did not get ready: %w", svc.name, err)
		case <-tick.C:
		}
	}
}

// run runs one service until ctx ends. The configuration uses the same variable names as in a process of its
// own: a stack tests the parsing, too. The listeners and the email log have no variable; launch sets them
// directly.
func (s *Stack) run(ctx context.Context, name string, public, admin net.Listener) error {
	environ := map[string]string{}
	maps.Copy(environ, s.cfg.Environ)
	maps.Copy(environ, s.cfg.Services[name])
	maps.Copy(environ, map[string]string{
		"HTTP_ADDR":          public.Addr().String(),
		"ADMIN_ADDR":         admin.Addr().String(),
		"DATABASE_URL":       s.databaseURL(name),
		"KAFKA_BROKERS":      strings.Join(s.kafka.Brokers, ","),
		"KAFKA_TOPIC_PREFIX": s.kafka.TopicPrefix,
		"KAFKA_GROUP_PREFIX": s.kafka.GroupPrefix,
	})
	log := s.cfg.Log.With("service", name)
	switch name {
	case client.Orders:
		return launch(ctx, environ, log, orders.Run, func(c *orders.Config) {
			c.HTTPListener, c.AdminListener, c.Access.LocalUser = public, admin, s.cfg.LocalUser
		})
	case client.Payments:
		return launch(ctx, environ, log, payments.Run, func(c *payments.Config) {
			c.HTTPListener, c.AdminListener, c.Access.LocalUser = public, admin, s.cfg.LocalUser
		})
	default:
		return launch(ctx, environ, log, notifications.Run, func(c *notifications.Config) {
			c.HTTPListener, c.AdminListener, c.Access.LocalUser, c.EmailLog = public, admin, s.cfg.LocalUser, s.emails
		})
	}
}

// SettingsError wraps the errors of all settings that a service rejects.
type SettingsError struct{ err error }

func (e *SettingsError) Error() string { return e.err.Error() }
func (e *SettingsError) Unwrap() error { return e.err }

// Usage marks a mistake in the configuration: the command line exits with its code for usage errors.
func (e *SettingsError) Usage() {}

// launch parses and validates the configuration as run.Main does, and runs the service. adjust runs before
// Validate, so that Validate judges the configuration that runs.
func launch[C interface{ Validate() error }](ctx context.Context, environ map[string]string, log *slog.Logger,
	start func(context.Context, C, *slog.Logger) error, adjust func(*C)) error {
	cfg, err := run.Parse[C](environ)
	if err != nil {
		return &SettingsError{err}
	}
	adjust(&cfg)
	if err := cfg.Validate(); err != nil {
		return &SettingsError{err}
	}
	return start(ctx, cfg, log)
}
