package app_test

import (
	"context"
	"sync"

	"pasdetrois/pkg/messages"
)

// topic is a Publisher that remembers what it took. hook, when set, may refuse a call or hold it up.
type topic struct {
	mu    sync.Mutex
	took  []messages.Message
	calls int
	hook  func(ctx context.Context) error
}

func (k *topic) Publish(ctx context.Context, msgs ...messages.Message) error {
	k.mu.Lock()
	hook := k.hook
	k.calls++
	k.mu.Unlock()
	if hook != nil {
		if err := hook(ctx); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range msgs {
		msgs[i].Source = messages.ServiceNotifications
		if _, err := msgs[i].Record(); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.took = append(k.took, msgs...)
	return nil
}

func (k *topic) when(hook func(ctx context.Context) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hook = hook
}

func (k *topic) all() []messages.Message {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]messages.Message(nil), k.took...)
}

// count returns how often Publish was called.
func (k *topic) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.calls
}
