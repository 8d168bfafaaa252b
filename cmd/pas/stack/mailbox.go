package stack

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
)

// Email is one email as the notifications service wrote it to its log.
type Email struct {
	To        string `json:"to"`
	Subject   string `json:"subject"`
	OrderID   string `json:"order_id"`
	Kind      string `json:"kind"`
	Message   string `json:"message"`
	MessageID string `json:"message_id"`
}

// mailbox is the notifications service's email log: it keeps every email line.
type mailbox struct {
	mu     sync.Mutex
	emails []Email
	notify func(Email)
}

// Write takes one or more whole lines of JSON. Other lines are ignored.
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

func (m *mailbox) all() []Email {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.emails)
}
