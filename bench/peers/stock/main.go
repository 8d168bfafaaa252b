// Command stock runs one stock part of watermill alone, for the benchmark to compare the product's part with: the
// Forwarder over a table in Postgres, or the Kafka subscriber with a slow handler. It writes one line of JSON,
// {"messages": n, "seconds": s}: the time from the first finished message to the last one.
//
//	stock forward   move N messages from the table in DATABASE_ADMIN_URL to KAFKA_TOPIC
//	stock consume   handle N messages of KAFKA_TOPIC as the group KAFKA_GROUP, each for WORK
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/caarlos0/env/v11"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	r, err := run(ctx, os.Args[1:], nil)
	stop()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stock:", err)
		os.Exit(1)
	}
}

// config is the environment. Group is for consume only, DatabaseURL for forward only.
type config struct {
	Brokers     []string      `env:"KAFKA_BROKERS,notEmpty"`
	Topic       string        `env:"KAFKA_TOPIC,notEmpty"`
	Group       string        `env:"KAFKA_GROUP"`
	DatabaseURL string        `env:"DATABASE_ADMIN_URL"`
	Messages    int           `env:"N"`
	Work        time.Duration `env:"WORK"`
}

// result is the output. Messages is one less than N, since the time begins with the first finished message.
type result struct {
	Messages int     `json:"messages"`
	Seconds  float64 `json:"seconds"`
}

// run runs the part that the arguments name. environment replaces the process's own; nil = the process's.
func run(ctx context.Context, args []string, environment map[string]string) (result, error) {
	var cfg config
	err := env.ParseWithOptions(&cfg, env.Options{Environment: environment})
	part := strings.Join(args, " ")
	switch {
	case err != nil:
		return result{}, err
	// A rate needs two moments.
	case cfg.Messages < 2:
		return result{}, fmt.Errorf("the number of messages, N=%d, must be above 1", cfg.Messages)
	case part == "consume":
		return consume(ctx, cfg)
	case part == "forward" && cfg.DatabaseURL != "":
		return forward(ctx, cfg)
	case part == "forward":
		return result{}, errors.New("DATABASE_ADMIN_URL must be set")
	}
	return result{}, fmt.Errorf("%q is neither forward nor consume", part)
}

// counter records when the first and the last of n messages were finished. A message after the nth still moves
// last.
type counter struct {
	mu          sync.Mutex
	n, left     int
	first, last time.Time
	done        chan struct{}
}

func newCounter(n int) *counter { return &counter{n: n, left: n, done: make(chan struct{})} }

func (c *counter) count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.Now()
	if c.left == c.n {
		c.first = c.last
	}
	if c.left--; c.left == 0 {
		close(c.done)
	}
}
