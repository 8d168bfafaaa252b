// Package restproxy serves the topics of a stack over plain HTTP, as `pas up` does.
package restproxy

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/toolbox/rest"
)

// Proxy serves the four topics of a stack, all of them writable. The groups of the services are reserved: a
// client that joined one would take records away from its service. A nil Proxy serves nothing, and its methods
// do nothing, so that `pas up --rest=false` needs no branches.
type Proxy struct {
	listener net.Listener
	cancel   context.CancelFunc
	ended    chan error
}

// Start serves the topics of s on l until Stop. It takes over l and closes it, also when it fails. An error
// means that the configuration is invalid; the proxy connects to Kafka only with the first request.
func Start(s *stack.Stack, l net.Listener, log *slog.Logger) (*Proxy, error) {
	kafka := s.Kafka()
	cfg := rest.Config{Brokers: kafka.Brokers, Kafka: kafka, Reserved: stack.Groups(kafka.GroupPrefix), Log: log}
	for _, topic := range stack.Topics(1) {
		cfg.Allow = append(cfg.Allow, kafka.TopicPrefix+topic.Name)
	}
	server, err := rest.New(cfg)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("start rest: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{listener: l, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		defer close(p.ended)
		if err := server.Serve(ctx, l); err != nil && ctx.Err() == nil {
			p.ended <- fmt.Errorf("rest: %w", err)
		}
	}()
	return p, nil
}

// URL returns the address of the proxy; it returns "" for a nil Proxy.
func (p *Proxy) URL() string {
	if p == nil {
		return ""
	}
	return "http://" + p.listener.Addr().String()
}

// Ended delivers the error of a proxy that ended by itself. After Stop the channel is closed. For a nil Proxy
// it is nil, which blocks forever in a select.
func (p *Proxy) Ended() <-chan error {
	if p == nil {
		return nil
	}
	return p.ended
}

// Stop ends the proxy and returns when it has ended. Call it before the broker stops, so that the proxy's
// consumers can leave their groups. It may be called more than once.
func (p *Proxy) Stop() {
	if p == nil {
		return
	}
	p.cancel()
	// Drain until the channel is closed: an error that no caller received must not block the end.
	for range p.ended { // until it is closed
	}
}
