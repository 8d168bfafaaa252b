package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/notifications/internal/domain"
)

// Users exports and erases users. It implements erasure.Data.
type Users struct {
	store   *Store
	mailbox func(address string) string
}

// NewUsers returns the users in a store. mailbox returns the same text for addresses that lead to one mailbox.
func NewUsers(s *Store, mailbox func(address string) string) *Users { return &Users{s, mailbox} }

// A fraud alert is about the user, and has the address of the people who read alerts: ” stands for it.
const lockUserSQL = `SELECT CASE WHEN kind = 'fraud_alert' THEN '' ELSE recipient END FROM notifications WHERE user_id = $1 ORDER BY id FOR UPDATE`

// The code in front of a mail server's words stays. The claim of a pending email rises, so that an attempt that runs changes nothing
// but to sent; the next attempt fails, because nobody has the new address. A fraud alert still goes to the people who read alerts.
const eraseSQL = `UPDATE notifications SET user_id = $2, recipient = CASE WHEN kind = 'fraud_alert' THEN recipient ELSE $3 END, message = $4,
  reason = CASE WHEN reason = '' THEN '' WHEN split_part(reason, ':', 1) ~ $5 THEN split_part(reason, ':', 1) ELSE $4 END,
  claim = claim + (status = 'pending')::integer,
  next_attempt_at = CASE WHEN status = 'pending' THEN now() ELSE next_attempt_at END
WHERE user_id = $1`

const eraseMailboxesSQL = `DELETE FROM mailboxes WHERE mailbox = ANY($1)`

// Erase implements erasure.Data. An email that is with the mail server at that moment may still arrive.
func (u *Users) Erase(ctx context.Context, tx *pgdb.Tx, p *erasure.Person, pseudonym string) (erasure.Counts, error) {
	recipients, err := pgdb.Collect(ctx, tx, pgx.RowTo[string], lockUserSQL, p.User)
	if err != nil {
		return nil, fmt.Errorf("lock the notifications of a user: %w", err)
	}
	boxes := make([]string, 0, len(recipients)+1)
	for _, address := range append(recipients, domain.DefaultAddress(p.User)) {
		if p.Writes(address); address != "" {
			boxes = append(boxes, u.mailbox(address))
		}
	}
	counts := erasure.Counts{}
	tag, err := tx.Exec(ctx, eraseSQL, p.User, pseudonym, messages.ErasedAddress(pseudonym), messages.ErasedText, messages.CodePattern)
	if err != nil {
		return nil, fmt.Errorf("erase the notifications of a user: %w", err)
	}
	counts["notifications"] = tag.RowsAffected()
	if tag, err = tx.Exec(ctx, eraseMailboxesSQL, boxes); err != nil {
		return nil, fmt.Errorf("erase the mailboxes of a user: %w", err)
	}
	counts["mailboxes"] = tag.RowsAffected()
	return counts, nil
}

// exportPage bounds how many rows of an export are in memory.
const exportPage = 100

const exportSQL = `SELECT id, CASE WHEN kind = 'fraud_alert' THEN '' ELSE recipient END, to_jsonb(n) FROM notifications n WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3`

const exportMailboxSQL = `SELECT to_jsonb(m) FROM mailboxes m WHERE mailbox = $1`

// Export implements erasure.Data.
func (u *Users) Export(ctx context.Context, user string, put func(kind string, row any) error) error {
	boxes := map[string]bool{u.mailbox(domain.DefaultAddress(user)): true}
	for id, more := int64(0), true; more; {
		page, err := pgdb.Collect(ctx, u.store.pool, func(row pgx.CollectableRow) (r erasure.Row, err error) {
			r.Mail = make([]string, 1)
			err = row.Scan(&id, &r.Mail[0], &r.JSON)
			return r, err
		}, exportSQL, user, id, exportPage)
		if err != nil {
			return fmt.Errorf("export notifications: %w", err)
		}
		for _, r := range page {
			if r.Mail[0] != "" {
				boxes[u.mailbox(r.Mail[0])] = true
			}
			if err := put("notification", r); err != nil {
				return err
			}
		}
		more = len(page) == exportPage
	}
	for box := range boxes {
		rows, err := pgdb.Collect(ctx, u.store.pool, pgx.RowTo[[]byte], exportMailboxSQL, box)
		if err != nil {
			return fmt.Errorf("export mailboxes: %w", err)
		}
		for _, row := range rows {
			if err := put("mailbox", erasure.Row{JSON: row}); err != nil {
				return err
			}
		}
	}
	return nil
}
