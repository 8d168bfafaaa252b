package e2e

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/pkg/platform/tracing/tracingtest"
	"pasdetrois/toolbox/client"
)

// One order is one trace: each step is the child of the one that led to it, across HTTP, outbox, Kafka, Postgres and
// email.
func TestTraceOfOneOrder(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	s := start(t, func(c *stack.Config) {
		c.Environ = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}
	})
	order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "u", Total: "49.99"}, client.PlaceOptions{})
	require.NoError(t, err)
	sent(t, s, order.OrderID)
	require.NoError(t, s.Stop(), "which exports what is left")

	prefix := s.Kafka().TopicPrefix
	trace := tree(collector.Spans(), "POST /orders")
	require.NotNil(t, trace, collector.Spans())
	path := []string{
		"orders SERVER POST /orders",
		"orders PRODUCER send " + prefix + "orders",
		"orders CONSUMER process " + prefix + "orders",
		"orders PRODUCER send " + prefix + "payments",
		"payments CONSUMER process " + prefix + "payments",
		"payments PRODUCER send " + prefix + "payments",
		"orders CONSUMER process " + prefix + "payments",
		"orders PRODUCER send " + prefix + "notifications",
		"notifications CONSUMER process " + prefix + "notifications",
		"notifications CLIENT send email",
	}
	at := trace
	for i, step := range path {
		if i > 0 {
			at = at.child(step)
			require.NotNil(t, at, "%s does not follow from %s:\n%s", step, path[i-1], trace)
		}
		require.Equal(t, step, at.title())
		require.Empty(t, at.Error)
		if at.Kind == "PRODUCER" || at.Kind == "CONSUMER" {
			require.Equal(t, "kafka", at.Attributes["messaging.system"])
			require.Equal(t, strings.Fields(at.Name)[1], at.Attributes["messaging.destination.name"])
			require.Equal(t, order.OrderID, at.Attributes["messaging.kafka.message.key"])
			require.NotEmpty(t, at.Attributes["messaging.message.id"])
		}
		if at.Kind == "CONSUMER" || at.Kind == "SERVER" {
			require.NotEmpty(t, at.statements(), "%s does something in Postgres:\n%s", step, trace)
		}
	}
	for _, other := range collector.Spans() {
		if strings.HasPrefix(other.Name, "process") || strings.HasPrefix(other.Name, "send") {
			require.Equal(t, trace.Trace, other.Trace, "%s is of no other trace", other.Name)
		}
	}
}

// A cancel is a trace of its own. Its request and the step of the order are linked both ways, so each trace leads to the other
// one. The refund and its email follow from the step.
func TestACancelAndItsOrderAreLinkedBothWays(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	s := start(t, func(c *stack.Config) {
		c.Environ = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}
	})
	order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "u", Total: "49.99"}, client.PlaceOptions{})
	require.NoError(t, err)
	sent(t, s, order.OrderID)
	_, err = s.Client().Cancel(t.Context(), order.OrderID)
	require.NoError(t, err)
	testkit.Eventually(t, func() error {
		for _, e := range s.Emails() {
			if e.OrderID == order.OrderID && e.Kind == "cancelled" {
				return nil
			}
		}
		return fmt.Errorf("no email about the cancelled order %s", order.OrderID)
	})
	_, err = s.Client().Cancel(t.Context(), order.OrderID) // has no effect, and is linked with the order all the same
	require.NoError(t, err)
	require.NoError(t, s.Stop(), "which exports what is left")

	var steps, requests []tracingtest.Span
	for _, span := range collector.Spans() {
		switch span.Name {
		case "cancel_order":
			steps = append(steps, span)
		case "POST /orders/{id}/cancel":
			requests = append(requests, span)
		}
	}
	require.Len(t, steps, 1)
	require.Len(t, requests, 2)
	trace := tree(collector.Spans(), "POST /orders")
	require.NotNil(t, trace)
	require.Equal(t, trace.Trace, steps[0].Trace, "the step is in the order's trace")
	require.NotEqual(t, trace.Trace, requests[0].Trace)
	require.Equal(t, []string{requests[0].Trace + "/" + requests[0].ID}, steps[0].Links)
	require.Equal(t, []string{steps[0].Trace + "/" + steps[0].ID}, requests[0].Links)
	require.Len(t, requests[1].Links, 1)
	require.Contains(t, requests[1].Links[0], trace.Trace+"/")

	at := find(trace, "orders INTERNAL cancel_order")
	require.NotNil(t, at, trace)
	prefix := s.Kafka().TopicPrefix
	for _, next := range []string{"orders PRODUCER send " + prefix + "payments", "payments CONSUMER process " + prefix + "payments",
		"payments PRODUCER send " + prefix + "payments", "orders CONSUMER process " + prefix + "payments",
		"orders PRODUCER send " + prefix + "notifications", "notifications CONSUMER process " + prefix + "notifications"} {
		at = at.child(next)
		require.NotNil(t, at, "%s does not follow:\n%s", next, trace)
	}
}

// find returns the first span at or below s with that title, nil when there is none.
func find(s *step, title string) *step {
	if s.title() == title {
		return s
	}
	for _, c := range s.children {
		if found := find(c, title); found != nil {
			return found
		}
	}
	return nil
}

// sent waits until the order's email was sent.
func sent(t *testing.T, s *stack.Stack, orderID string) {
	t.Helper()
	testkit.Eventually(t, func() error {
		for _, e := range s.Emails() {
			if e.OrderID == orderID {
				return nil
			}
		}
		return fmt.Errorf("no email about %s", orderID)
	})
}

// step is a span with those that follow from it.
type step struct {
	tracingtest.Span
	children []*step
}

// tree returns the trace that begins with the span of that name, nil when there is none.
func tree(spans []tracingtest.Span, root string) *step {
	byID := make(map[string]*step)
	for _, s := range spans {
		byID[s.ID] = &step{Span: s}
	}
	var found *step
	for _, s := range spans {
		if parent := byID[s.Parent]; parent != nil {
			parent.children = append(parent.children, byID[s.ID])
		} else if s.Name == root {
			found = byID[s.ID]
		}
	}
	return found
}

func (s *step) title() string { return s.Service + " " + s.Kind + " " + s.Name }

// child returns the nearest span below s with that title.
func (s *step) child(title string) *step {
	for _, c := range s.children {
		if c.title() == title {
			return c
		}
	}
	return nil
}

// statements returns the spans of statements within s, in its batch too.
func (s *step) statements() []*step {
	var found []*step
	for _, c := range s.children {
		switch {
		case c.Attributes["db.system.name"] == "postgresql" || c.Attributes["db.system"] == "postgresql":
			found = append(found, c)
		case c.Kind == "INTERNAL":
			found = append(found, c.statements()...)
		}
	}
	return found
}

// String shows the tree.
func (s *step) String() string {
	var b strings.Builder
	var show func(*step, string)
	show = func(s *step, indent string) {
		fmt.Fprintf(&b, "%s%s %v\n", indent, s.title(), s.End.Sub(s.Begin))
		for _, c := range s.children {
			show(c, indent+"  ")
		}
	}
	show(s, "")
	return b.String()
}

// A collector that takes connections and never answers costs no order any time, and each service says it once.
func TestOrdersDoNotWaitForACollectorThatHangs(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	log := &lines{}
	s := start(t, func(c *stack.Config) {
		c.Log = slog.New(slog.NewTextHandler(log, nil))
		c.Environ = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + listener.Addr().String()}
	})
	for range 20 {
		order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "u", Total: "49.99"}, client.PlaceOptions{})
		require.NoError(t, err)
		sent(t, s, order.OrderID)
	}
	began := time.Now()
	require.NoError(t, s.Stop())
	require.Less(t, time.Since(began), 40*time.Second, "stopping gives the collector up")
	require.Equal(t, 3, log.count("traces do not reach "+listener.Addr().String()))
}

// lines is what was logged.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}
