package behind

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/aside"
)

// notifications is the book of the notifications service. Its decision is that a request was taken: the offset of its
// record shows that.
type notifications struct {
	handled map[int32]int64
	letters *aside.Records // nil until a row is missing
}

const emailTaken decision = "taken"

// claim takes a request that the service has handled. One that asks for an order's kind is known by both, any other one by
// the id of its message.
func (n *notifications) claim(m messages.Message, r *kgo.Record) (claim, bool) {
	e, is := m.Event.(messages.NotificationRequested)
	if !is || r.Offset >= n.handled[r.Partition] {
		return claim{}, false
	}
	c := claim{key: "message " + m.ID, about: e.OrderID, message: m.ID, what: emailTaken, says: m.Event.EventName(), record: r}
	if e.OrderID != "" && e.Kind != "" {
		c.key, c.kind = e.OrderID+" "+e.Kind, e.Kind
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
		if of.order != "" && of.kind != "" {
			of.message = ""
		}
		rows[of] = status
		return nil
	}); err != nil {
		return nil, err
	}
	answers := make([]answer, len(claims))
	for i, c := range claims {
		of := name{c.about, c.kind, c.message}
		if c.kind != "" {
			of.message = ""
		}
		if status := rows[of]; status != "" {
			answers[i] = answer{has, status}
			continue
		}
		parked, err := n.parked(ctx, conn, c.record)
		if err != nil {
			return nil, err
		}
		if !parked {
			answers[i].verdict = isBehind
		}
	}
	return answers, nil
}

// parked reports whether the record is a dead letter. The dead letters are read when the first row is missing.
func (n *notifications) parked(ctx context.Context, conn *pgx.Conn, r *kgo.Record) (bool, error) {
	if n.letters == nil {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
		if err != nil {
			return false, fmt.Errorf("read dead letters: %w", err)
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		if _, err := tx.Exec(ctx, "SET LOCAL search_path = notifications"); err != nil {
			return false, fmt.Errorf("read dead letters: %w", err)
		}
		if n.letters, err = aside.Read(ctx, tx); err != nil {
			return false, err
		}
	}
	return n.letters.Has(r), nil
}
