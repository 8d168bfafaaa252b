// Command stock runs one stock part of watermill alone, for the benchmark to compare the product's part with: the
// Forwarder over a table in Postgres, or the Kafka subscriber with a handler that takes a while. It writes one line of
// JSON, {"messages": n, "seconds": s}: how long the part took from the first message it was done with to the last.
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
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	r, err := run(ctx, os.Args[1:], os.Getenv)
	stop()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stock:", err)
		os.Exit(1)
	}
}

type config struct {
	brokers      []string
	topic, group string
	databaseURL  string
	messages     int
	work         time.Duration
}

type result struct {
	Messages int     `json:"messages"`
	Seconds  float64 `json:"seconds"`
}

func run(ctx context.Context, args []string, getenv func(string) string) (result, error) {
	if len(args) != 1 || (args[0] != "forward" && args[0] != "consume") {
		return result{}, errors.New("say what to run: forward or consume")
	}
	cfg := config{topic: getenv("KAFKA_TOPIC"), group: getenv("KAFKA_GROUP"), databaseURL: getenv("DATABASE_ADMIN_URL")}
	var err error
	if cfg.messages, err = strconv.Atoi(getenv("N")); err != nil || cfg.messages < 2 {
		return result{}, fmt.Errorf("the number of messages, N=%q, must be above 1", getenv("N"))
	}
	if getenv("KAFKA_BROKERS") == "" || cfg.topic == "" {
		return result{}, errors.New("KAFKA_BROKERS and KAFKA_TOPIC must be set")
	}
	cfg.brokers = strings.Split(getenv("KAFKA_BROKERS"), ",")
	if args[0] == "forward" {
		if cfg.databaseURL == "" {
			return result{}, errors.New("DATABASE_ADMIN_URL must be set")
		}
		return forward(ctx, cfg)
	}
	if cfg.work, err = time.ParseDuration(getenv("WORK")); err != nil {
		return result{}, fmt.Errorf("WORK must be a time such as 1ms, not %q", getenv("WORK"))
	}
	return consume(ctx, cfg)
}

// counter notes when the first and the last of n messages was done with.
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

func (c *counter) result() result {
	return result{Messages: c.n - 1, Seconds: c.last.Sub(c.first).Seconds()}
}
