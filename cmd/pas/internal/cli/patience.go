package cli

import (
	"context"
	"strings"
	"sync"
	"time"

	"pasdetrois/pkg/platform/kafka"
)

const (
	// patience bounds one wait for an answer of Kafka, Postgres or a service. A busy broker may let a connection wait for
	// many seconds. An address that refuses connections fails within seconds all the same.
	patience = 30 * time.Second
	// noticeAfter is how long a command waits in silence.
	noticeAfter = 3 * time.Second
)

// patient bounds ctx by the patience. After noticeAfter it notes what the command waits for. Each call needs its cancel.
func (a *app) patient(ctx context.Context, what string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, a.Patience)
	answered := a.waits(what)
	return ctx, func() {
		answered()
		cancel()
	}
}

// waits notes after noticeAfter that the command waits for what, unless answered is called earlier. No note is written
// after answered has returned. answered may be called again.
func (a *app) waits(what string) (answered func()) {
	var mu sync.Mutex
	done := false
	timer := time.AfterFunc(a.NoticeAfter, func() {
		mu.Lock()
		defer mu.Unlock()
		if !done {
			a.note("Waiting for %s, at most %s; Ctrl-C ends.", what, short(a.Patience))
		}
	})
	return func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		done = true
	}
}

// kafkaAt names Kafka with its addresses.
func kafkaAt(cfg kafka.Config) string { return "Kafka at " + strings.Join(cfg.Brokers, ",") }
