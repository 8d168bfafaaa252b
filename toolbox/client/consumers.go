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

// Consumers is what a replica of a service says of what it consumes.
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

// Consumers asks what the service consumes and whether it does just now.
func (c *Client) Consumers(ctx context.Context, service string) (Consumers, error) {
	return c.consumers(ctx, service, http.MethodGet, "", nil)
}

// PauseConsumers asks the service to leave its consumer groups for a while. It returns at once; the state tells when it
// has. Asked again, the pause ends later.
func (c *Client) PauseConsumers(ctx context.Context, service string, lease time.Duration) (Consumers, error) {
	return c.consumers(ctx, service, http.MethodPost, "/pause", url.Values{"for": {strconv.Itoa(int(lease.Seconds()))}})
}

// ResumeConsumers ends a pause.
func (c *Client) ResumeConsumers(ctx context.Context, service string) (Consumers, error) {
	return c.consumers(ctx, service, http.MethodPost, "/resume", nil)
}

func (c *Client) consumers(ctx context.Context, service, method, verb string, query url.Values) (Consumers, error) {
	var consumers Consumers
	_, err := c.do(ctx, call{service: service, admin: true, method: method, path: "/consumers" + verb, query: query}, &consumers)
	return consumers, err
}
