package app_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/services/notifications/internal/domain"
)

// mailbox is a Sender that remembers what it took. hook, when set, may refuse an email or hold it up.
type mailbox struct {
	mu   sync.Mutex
	took []domain.Email
	hook atomic.Pointer[func(ctx context.Context, e domain.Email) error]
}

func (m *mailbox) Send(ctx context.Context, e domain.Email, _ func()) error {
	if hook := m.hook.Load(); hook != nil {
		if err := (*hook)(ctx, e); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took = append(m.took, e)
	return nil
}

func (m *mailbox) when(hook func(ctx context.Context, e domain.Email) error) { m.hook.Store(&hook) }

func (m *mailbox) all() []domain.Email {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]domain.Email(nil), m.took...)
}

// requireEachOnce asserts that exactly want emails were taken, no two with the same Message-ID.
func (m *mailbox) requireEachOnce(t *testing.T, want int) {
	t.Helper()
	seen := make(map[string]int)
	for _, e := range m.all() {
		seen[e.MessageID]++
	}
	for id, times := range seen {
		require.Equal(t, 1, times, "email %s", id)
	}
	require.Len(t, seen, want)
}
