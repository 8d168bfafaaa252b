package stack

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
)

// Email is one email line in the log of the notifications service. The field names are those of that log.
type Email struct {
	To        string `json:"to"`
	Subject   string `json:"subject"`
	OrderID   string `json:"order_id"`
	Kind      string `json:"kind"`
	Message   string `json:"message"`
	MessageID string `json:"message_id"`
}

// mailbox is the email log of the notifications service. It keeps every email line in memory, in the order of
// writing, for the life of the stack. Its methods may be called concurrently.
type mailbox struct {
	mu     sync.Mutex
	emails []Email
	notify func(Email)
}

// Write takes one or more whole lines of JSON and never fails. Other lines, and lines without a recipient, are
// ignored. It calls notify while it holds the lock: calls come one at a time and in order, and notify must not
// read the mailbox.
func (m *mailbox) Write(lines []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for line := range bytes.Lines(lines) {
		var email Email
		if json.Unmarshal(line, &email) != nil || email.To == "" {
			continue
		}
		m.emails = append(m.emails, email)
		if m.notify != nil {
			m.notify(email)
		}
	}
	return len(lines), nil
}

// all returns a copy, so that the caller may keep it while emails arrive.
func (m *mailbox) all() []Email {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.emails)
}
