package store

import (
	"context"
	"fmt"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

// One statement for each filter, so that each uses its own index. No statement filters by status and by user or order, because no
// operation of the API does. An alert of fraud names the user whom it is about, and goes to the address of the staff: a list of the
// user's own leaves it out.
const (
	listSQL        = `SELECT ` + columns + ` FROM notifications WHERE id < $1 ORDER BY id DESC LIMIT $2`
	listStatusSQL  = `SELECT ` + columns + ` FROM notifications WHERE id < $1 AND status = $3 ORDER BY id DESC LIMIT $2`
	listUserSQL    = `SELECT ` + columns + ` FROM notifications WHERE id < $1 AND user_id = $3 ORDER BY id DESC LIMIT $2`
	listOrderSQL   = `SELECT ` + columns + ` FROM notifications WHERE id < $1 AND order_id = $3 ORDER BY id DESC LIMIT $2`
	listOfUsersSQL = `SELECT ` + columns + ` FROM notifications WHERE id < $1 AND order_id = $3 AND user_id = $4 ORDER BY id DESC LIMIT $2`
	listOwnSQL     = `SELECT ` + columns + ` FROM notifications WHERE id < $1 AND user_id = $3 AND kind IS DISTINCT FROM '` + messages.KindFraudAlert + `' ORDER BY id DESC LIMIT $2`
	listOwnOfSQL   = `SELECT ` + columns + ` FROM notifications WHERE id < $1 AND order_id = $3 AND user_id = $4 AND kind IS DISTINCT FROM '` + messages.KindFraudAlert + `' ORDER BY id DESC LIMIT $2`
)

// List implements app.Store. Ids grow with time, so their order is newest first, and the id is the whole cursor.
func (s *Store) List(ctx context.Context, q app.Query) ([]domain.Notification, error) {
	before := q.Before
	if before == 0 {
		before = 1<<63 - 1
	}
	args := []any{before, q.Limit}
	sql := listSQL
	switch {
	case q.Own && q.OrderID != "":
		sql, args = listOwnOfSQL, append(args, q.OrderID, q.UserID)
	case q.Own:
		sql, args = listOwnSQL, append(args, q.UserID)
	case q.Status != "":
		sql, args = listStatusSQL, append(args, q.Status)
	case q.OrderID != "" && q.UserID != "":
		sql, args = listOfUsersSQL, append(args, q.OrderID, q.UserID)
	case q.OrderID != "":
		sql, args = listOrderSQL, append(args, q.OrderID)
	case q.UserID != "":
		sql, args = listUserSQL, append(args, q.UserID)
	}
	found, err := query(ctx, s.pool, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list notifications: %w", err)
	}
	return found, nil
}

// An email that waits for room in its mailbox is not late.
const backlogSQL = `
SELECT count(*), count(*) FILTER (WHERE slot_at > now()),
	COALESCE(extract(epoch FROM now() - min(tried_since) FILTER (WHERE slot_at IS NULL OR slot_at <= now())), 0)::float8,
	(SELECT count(*) FROM notifications WHERE NOT recorded)
FROM notifications WHERE status = 'pending'`

// Backlog is the work that is left.
type Backlog struct {
	Pending    int64         // notifications that are not settled yet
	Limited    int64         // of these, the ones that wait for room in their mailbox
	Oldest     time.Duration // age of the oldest of the others, 0 without others
	Unrecorded int64         // settled notifications whose event is still to be published
}

// Backlog returns the work that is left.
func (s *Store) Backlog(ctx context.Context) (left Backlog, err error) {
	var seconds float64
	if err := s.pool.QueryRow(ctx, backlogSQL).Scan(&left.Pending, &left.Limited, &seconds, &left.Unrecorded); err != nil {
		return Backlog{}, fmt.Errorf("read the backlog: %w", err)
	}
	left.Oldest = time.Duration(seconds * float64(time.Second))
	return left, nil
}
