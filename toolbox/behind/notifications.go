package behind

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/aside"
)

// notifications is the book of the notifications service. It has three decisions: a request was taken, its email was sent, or
// it was given up.
//
// Events say how an email ended, but an older version wrote none. So a request that the service has handled, which its offset
// shows, counts as taken only while its partition has no such event. A later request without an event was never handled, for
// example because a stranger in the consumer group took it away. A replay handles it for the first time.
type notifications struct {
	handled map[int32]int64
	begun   map[int32]bool // partitions on which an event was read
	letters *aside.Records // nil until a row is missing
}

const (
	emailTaken  decision = "taken"
	emailSent   decision = "sent"
	emailFailed decision = "failed"
)

// claim knows an email about an order's kind by both, any other one by the id of the message that asked for it.
func (n *notifications) claim(m messages.Message, r *kgo.Record) (claim, bool) {
	c := claim{says: m.Event.EventName()}
	switch e := m.Event.(type) {
	case messages.NotificationRequested:
		if n.begun[r.Partition] || r.Offset >= n.handled[r.Partition] {
			return claim{}, false
		}
		c.what, c.about, c.kind, c.message, c.record = emailTaken, e.OrderID, e.Kind, m.ID, r
	case messages.NotificationSent:
		c.what, c.about, c.kind, c.message = emailSent, e.OrderID, e.Kind, e.MessageID
	case messages.NotificationFailed:
		c.what, c.about, c.kind, c.message = emailFailed, e.OrderID, e.Kind, e.MessageID
	default:
		return claim{}, false
	}
	if c.record == nil {
		if m.Source != messages.ServiceNotifications {
			return claim{}, false
		}
		n.begun[r.Partition] = true
	}
	if c.about == "" {
		c.kind = ""
	}
	c.key = "message " + c.message
	if c.kind != "" {
		c.key, c.message = c.about+" "+c.kind, ""
	}
	return c, true
}

// Both halves find their rows by an index.
const notificationsSQL = `SELECT coalesce(order_id, ''), kind, message_id, status FROM notifications.audit_notifications
WHERE order_id = ANY($1)
UNION ALL
SELECT '', '', message_id, status FROM notifications.audit_notifications WHERE order_id IS NULL AND message_id = ANY($2)`

func (n *notifications) compare(ctx context.Context, conn *pgx.Conn, claims []claim) ([]answer, error) {
	var ids, messageIDs []string
	for _, c := range claims {
		if c.about == "" {
			messageIDs = append(messageIDs, c.message)
		} else {
			ids = append(ids, c.about)
		}
	}
	found, err := conn.Query(ctx, notificationsSQL, ids, messageIDs)
	if err != nil {
		return nil, err
	}
	type name struct{ order, kind, message string }
	rows := make(map[name]string, len(claims))
	var is name
	var status string
	if _, err := pgx.ForEachRow(found, []any{&is.order, &is.kind, &is.message, &status}, func() error {
		of := is
		if of.order == "" {
			of.kind = ""
		}
		if of.kind != "" {
			of.message = ""
		}
		rows[of] = status
		return nil
	}); err != nil {
		return nil, err
	}
	answers := make([]answer, len(claims))
	for i, c := range claims {
		status := rows[name{c.about, c.kind, c.message}]
		if answers[i] = (answer{emailOf(status, c.what), status}); status != "" || c.record == nil {
			continue
		}
		parked, err := n.parked(ctx, conn, c.record)
		if err != nil {
			return nil, err
		}
		if parked {
			answers[i].verdict = has
		}
	}
	return answers, nil
}

// emailOf compares the status of a row with a decision. The status is "" for a missing row. An email that was given up may be
// pending again, or sent, since an operator can have it sent again. One that was sent stays so.
func emailOf(status string, what decision) verdict {
	if status == "" || what == emailSent && status != string(emailSent) {
		return isBehind
	}
	return has
}

// parked reports whether the record is a dead letter. The dead letters are read when the first row is missing.
func (n *notifications) parked(ctx context.Context, conn *pgx.Conn, r *kgo.Record) (bool, error) {
	if n.letters == nil {
		var err error
		if n.letters, err = aside.Read(ctx, conn, messages.ServiceNotifications); err != nil {
			return false, err
		}
	}
	return n.letters.Has(r), nil
}
