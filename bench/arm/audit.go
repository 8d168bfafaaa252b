package arm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pasdetrois/pkg/platform/wait"
)

// settleTime bounds the work after the last email: deleting outbox rows, and storing that emails were sent.
const settleTime = 30 * time.Second

// auditPas returns nil as soon as the database has exactly the right rows. After settleTime it returns the
// differences. A loop whose audit fails gives no figure: a fast arm that loses or doubles orders must not win.
func (r *Running) auditPas(ctx context.Context, orders, rejected int) error {
	for deadline := time.Now().Add(settleTime); ; {
		problems, err := r.problems(ctx, orders, rejected)
		switch {
		case err != nil || len(problems) == 0:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("the audit failed: %s", strings.Join(problems, "; "))
		case !wait.Sleep(ctx, 100*time.Millisecond):
			return context.Cause(ctx)
		}
	}
}

// auditSQL selects the counts that differ from the right ones. $1 is the number of orders. $2 is the number of
// those that must be rejected. Every payment succeeds, since the benchmark's orders are below the fraud limit.
const auditSQL = `
SELECT what, found::bigint, wanted::bigint FROM (VALUES
  ('orders', (SELECT count(*) FROM orders.orders), $1::bigint),
  ('orders confirmed', (SELECT count(*) FROM orders.orders WHERE status = 'confirmed'), $1::bigint - $2::bigint),
  ('orders rejected', (SELECT count(*) FROM orders.orders WHERE status = 'rejected'), $2::bigint),
  ('products whose pieces do not add up', (SELECT count(*) FROM orders.inventory WHERE available + reserved + sold <> stocked), 0),
  ('pieces still set aside', (SELECT coalesce(sum(reserved), 0) FROM orders.inventory), 0),
  ('pieces sold', (SELECT coalesce(sum(sold), 0) FROM orders.inventory),
     (SELECT coalesce(sum(l.quantity), 0) FROM orders.order_lines l JOIN orders.orders o USING (order_id) WHERE o.status = 'confirmed')),
  ('cents captured', (SELECT coalesce(sum(amount_minor), 0) FROM payments.payments WHERE status = 'captured'),
     (SELECT coalesce(sum(total_minor), 0) FROM orders.orders WHERE status = 'confirmed')),
  ('payments', (SELECT count(*) FROM payments.payments), $1::bigint - $2::bigint),
  ('cents taken by the provider', (SELECT coalesce(sum(amount_minor), 0) FROM payments.provider_ledger WHERE status = 'charged'),
     (SELECT coalesce(sum(total_minor), 0) FROM orders.orders WHERE status = 'confirmed')),
  ('charges', (SELECT count(*) FROM payments.provider_ledger), $1::bigint - $2::bigint),
  ('orders charged', (SELECT count(DISTINCT order_id) FROM payments.provider_ledger), $1::bigint - $2::bigint),
  ('notifications', (SELECT count(*) FROM notifications.notifications), $1::bigint),
  ('orders with a notification', (SELECT count(DISTINCT order_id) FROM notifications.notifications), $1::bigint),
  ('notifications not sent', (SELECT count(*) FROM notifications.notifications WHERE status <> 'sent'), 0),
  ('messages in the outbox', (SELECT count(*) FROM orders.outbox), 0),
  ('messages held', (SELECT count(*) FROM orders.held_messages), 0),
  ('dead letters', (SELECT count(*) FROM orders.dead_letters) + (SELECT count(*) FROM payments.dead_letters)
     + (SELECT count(*) FROM notifications.dead_letters), 0)
) AS counted (what, found, wanted) WHERE found <> wanted`

// problems returns one text for each count that is wrong, sorted.
func (r *Running) problems(ctx context.Context, orders, rejected int) ([]string, error) {
	var problems []string
	var what string
	var found, wanted int64
	err := r.read(ctx, []any{&what, &found, &wanted}, func() {
		problems = append(problems, fmt.Sprintf("%s: %d instead of %d", what, found, wanted))
	}, auditSQL, orders, rejected)
	slices.Sort(problems)
	return problems, err
}
