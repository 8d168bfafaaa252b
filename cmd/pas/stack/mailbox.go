package stack

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"pasdetrois/cmd/pas/scenario"
)

// mailbox is the notifications service's email log: it keeps every email line.
type mailbox struct {
	mu     sync.Mutex
	emails []scenario.Email
	notify func(scenario.Email)
}

// Write takes one or more whole lines of JSON. What is no email line is ignored.
func (m *mailbox) Write(lines []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for line := range bytes.Lines(lines) {
		var email scenario.Email
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

func (m *mailbox) all() []scenario.Email {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.emails)
}
