package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
)

// notifications is the service that sends emails, as lines on standard output.
type notifications struct {
	*service
	mail *mailer
}

// A notification without order or kind is kept once for each message id.
const insertNotificationSQL = `INSERT INTO notifications (message_id, order_id, kind, user_id, message) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT ON CONSTRAINT notification_once_per_order_and_kind DO NOTHING`

// onNotificationRequested sends an email, once unless the process dies between the email and the commit. The
// email counts as sent after that commit. A redelivered message finds its row and sends nothing.
func (n notifications) onNotificationRequested(ctx context.Context, m messages.Message) error {
	r, ok := m.Event.(messages.NotificationRequested)
	if !ok {
		return nil
	}
	orderID, kind := r.OrderID, r.Kind
	// Such a notification has no natural key, so its message id takes that place.
	if orderID == "" || kind == "" {
		orderID, kind = "", m.ID
	}
	var at time.Time
	err := pgx.BeginFunc(ctx, n.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, insertNotificationSQL, m.ID, orderID, kind, r.UserID, r.Message)
		if err != nil {
			return fmt.Errorf("insert notification of order %s: %w", r.OrderID, err)
		}
		// The row exists, so the email was sent before.
		if tag.RowsAffected() == 0 {
			return nil
		}
		at, err = n.mail.send(email{OrderID: r.OrderID, Kind: r.Kind, UserID: r.UserID, Message: r.Message})
		return err
	})
	if err == nil && !at.IsZero() {
		n.mail.committed(at)
	}
	return err
}

// email is one line.
type email struct {
	OrderID string    `json:"order_id"`
	Kind    string    `json:"kind"`
	UserID  string    `json:"user_id"`
	Message string    `json:"message"`
	Time    time.Time `json:"time"`
}

// mailer writes emails and counts the committed ones. Its methods may be called concurrently.
type mailer struct {
	mu    sync.Mutex
	out   io.Writer
	count int
	last  time.Time
}

// send writes one email and returns its time. It holds the lock while it writes, so that lines never mix.
func (m *mailer) send(e email) (at time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Time = time.Now()
	line, err := json.Marshal(e)
	if err != nil {
		return at, err
	}
	if _, err := m.out.Write(append(line, '\n')); err != nil {
		return at, fmt.Errorf("send email of order %s: %w", e.OrderID, err)
	}
	return e.Time, nil
}

// committed counts an email whose transaction has committed.
func (m *mailer) committed(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	if at.After(m.last) {
		m.last = at
	}
}

// sent is the answer of GET /emails.
type sent struct {
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
}

// sent returns the count of committed emails and the time of the last one.
func (m *mailer) sent() sent {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sent{Count: m.count, Last: m.last}
}
