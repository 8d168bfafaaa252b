package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"pasdetrois/pkg/messages"
)

// closeTimeout bounds the end of running handlers, and that of open requests.
const closeTimeout = 15 * time.Second

// serve runs the services of cfg.roles until ctx ends: one router, one publisher, one HTTP server. The deferred
// closes run in the opposite order, so that the publisher outlives the Forwarders.
func serve(ctx context.Context, cfg config, out, logs io.Writer) (err error) {
	log := watermill.NewSlogLogger(slog.New(slog.NewJSONHandler(logs, nil)))
	if err := makeSchema(ctx, cfg.DatabaseURL); err != nil {
		return err
	}
	publisher, err := newPublisher(cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, publisher.Close()) }()
	router, err := newRouter(log)
	if err != nil {
		return err
	}
	health, err := newHealth(cfg, router)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, health.admin.Close()) }()

	// One HTTP server serves all roles of this process; their paths do not overlap.
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", health)
	for _, role := range cfg.roles {
		pool, err := openPool(ctx, cfg.DatabaseURL, role)
		if err != nil {
			return err
		}
		defer pool.Close()
		s := &service{name: role, cfg: cfg, pool: pool, kafka: publisher, log: log}
		groups, err := s.wire(router, mux, &mailer{out: out})
		if err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
		health.groups = append(health.groups, groups...)
	}
	return runAll(ctx, cfg, router, mux, log)
}

// newRouter makes a router with the middlewares of the documentation's example. A message whose retries fail is
// not acknowledged, so it is redelivered and blocks its partition.
func newRouter(log watermill.LoggerAdapter) (*message.Router, error) {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout}, log)
	if err != nil {
		return nil, fmt.Errorf("make the router: %w", err)
	}
	router.AddMiddleware(
		middleware.Retry{MaxRetries: 3, InitialInterval: 100 * time.Millisecond, Logger: log}.Middleware,
		middleware.Recoverer, // inside Retry, so that a panic is retried too
	)
	return router, nil
}

// wire adds the handlers of the service's role and its Forwarder to the router. It returns the service's
// consumer groups.
func (s *service) wire(router *message.Router, mux *http.ServeMux, mail *mailer) (groups []string, err error) {
	handlers := map[string]handler{}
	switch s.name {
	case roleOrders:
		o := orders{s}
		handlers[messages.TopicOrders] = on(s, o.onOrderPlaced)
		handlers[messages.TopicPayments] = on(s, o.onPaymentCaptured)
		handlers[messages.TopicOrderFailures] = on(s, o.onPaymentFailed)
		mux.HandleFunc("POST /orders", o.servePlace)
	case rolePayments:
		handlers[messages.TopicPayments] = on(s, payments{s}.onPaymentRequested)
	case roleNotifications:
		handlers[messages.TopicNotifications] = notifications{service: s, mail: mail}.onNotificationRequested
		mux.HandleFunc("GET /emails", mail.serveSent)
	}
	for topic, h := range handlers {
		group, err := s.consume(router, topic, h)
		if err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	if s.name != roleNotifications { // which publishes nothing
		err = s.forward(router)
	}
	slices.Sort(groups)
	return groups, err
}

// runAll runs the router and the HTTP server until one of them or ctx ends. It ends the server first: the
// messages of its last requests then have the router's time to leave the outbox.
func runAll(ctx context.Context, cfg config, router *message.Router, mux *http.ServeMux, log watermill.LoggerAdapter) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.HTTPAddr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.HTTPAddr, err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(listener) }()
	// The router cancels its running handlers when its context ends, so this context does not end.
	go func() { ended <- router.Run(context.WithoutCancel(ctx)) }()
	log.Info("listening", watermill.LogFields{"addr": listener.Addr().String(), "roles": cfg.roles})

	var problems []error
	// Both ends are awaited, except one that was received already.
	waitFor := 2
	select {
	case <-ctx.Done():
	case err := <-ended:
		waitFor--
		problems = append(problems, fmt.Errorf("ended by itself: %v", err))
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	problems = append(problems, server.Shutdown(closing), router.Close())
	for range waitFor {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}
