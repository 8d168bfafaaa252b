package stack

import (
	"context"
	"fmt"
	"net"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/rest"
)

// proxy is the stack's plain HTTP way to its topics.
type proxy struct {
	listener net.Listener
	cancel   context.CancelFunc // nil before it serves
	done     chan struct{}      // closed when it has ended
}

// Groups returns the ids of the services' consumer groups. A client that joins one takes records away from its service.
func Groups(prefix string) []string {
	var ids []string
	for _, g := range messages.Groups() {
		ids = append(ids, prefix+g.String())
	}
	return ids
}

// listenREST opens the port before anything heavy is started, as those of the services.
func (s *Stack) listenREST() error {
	if !s.cfg.REST {
		return nil
	}
	l, err := listen("rest", s.cfg.Ports.REST)
	if err != nil {
		return err
	}
	s.proxy = &proxy{listener: l, done: make(chan struct{})}
	return nil
}

// startREST serves the four topics, all of them writable, over plain HTTP.
func (s *Stack) startREST() error {
	if s.proxy == nil {
		return nil
	}
	cfg := rest.Config{Brokers: s.kafka.Brokers, Kafka: s.kafka, Reserved: Groups(s.cfg.GroupPrefix), Log: s.cfg.Log.With("service", "rest")}
	for _, topic := range Topics(1) {
		cfg.Allow = append(cfg.Allow, s.cfg.TopicPrefix+topic.Name)
	}
	server, err := rest.New(cfg)
	if err != nil {
		return fmt.Errorf("start rest: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.proxy.cancel = cancel
	go func() {
		defer close(s.proxy.done)
		if err := server.Serve(ctx, s.proxy.listener); err != nil && ctx.Err() == nil {
			s.died <- fmt.Errorf("rest: %w", err)
		}
	}()
	return nil
}

// stopREST ends what startREST began; its consumers leave their groups while the broker is still there.
func (s *Stack) stopREST() {
	switch {
	case s.proxy == nil:
	case s.proxy.cancel == nil:
		_ = s.proxy.listener.Close()
	default:
		s.proxy.cancel()
		<-s.proxy.done
	}
}

// RESTURL returns where the topics are served over plain HTTP, "" when they are not.
func (s *Stack) RESTURL() string {
	if s.proxy == nil {
		return ""
	}
	return "http://" + s.proxy.listener.Addr().String()
}
