package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The states of a service's consumers.
const (
	ConsumersStarting  = "starting"
	ConsumersConsuming = "consuming"
	ConsumersPausing   = "pausing"
	ConsumersPaused    = "paused"
)

// Consumers is a replica's own report about its consumers. Each replica reports for itself alone.
type Consumers struct {
	State       string          `json:"state"`
	PausedUntil *time.Time      `json:"paused_until"`
	InWork      int             `json:"in_work"`
	Groups      []ConsumerGroup `json:"groups"`
}

// ConsumerGroup is a group with the topic that it reads.
type ConsumerGroup struct {
	Group      string `json:"group"`
	KafkaTopic string `json:"kafka_topic"` // as the brokers call it
	Topic      string `json:"topic"`
}

// Consumers asks a replica for the state of its consumers.
func (c *Client) Consumers(ctx context.Context, service string) (Consumers, error) {
	return c.consumers(ctx, service, http.MethodGet, "", nil)
}

// PauseConsumers makes a replica leave its consumer groups for the lease, in whole seconds. It returns at once;
// Consumers reports when the replica has left. A second call puts the end of the pause off, and without one the replica
// resumes by itself.
func (c *Client) PauseConsumers(ctx context.Context, service string, lease time.Duration) (Consumers, error) {
	return c.consumers(ctx, service, http.MethodPost, "/pause", url.Values{"for": {strconv.Itoa(int(lease.Seconds()))}})
}

// ResumeConsumers ends a pause. Without a pause it changes nothing.
func (c *Client) ResumeConsumers(ctx context.Context, service string) (Consumers, error) {
	return c.consumers(ctx, service, http.MethodPost, "/resume", nil)
}

func (c *Client) consumers(ctx context.Context, service, method, verb string, query url.Values) (Consumers, error) {
	var consumers Consumers
	_, err := c.do(ctx, call{service: service, admin: true, method: method, path: "/consumers" + verb, query: query}, &consumers)
	return consumers, err
}
