// Package audit compares what the three services, the payment provider and, on request, the topics record about every
// order.
//
// # One moment
//
// Each database is read in read-only transactions that see one moment each. The moments differ a little, because the
// transactions begin one after another. A row that changed less than Config.Grace before the first moment is in flight:
// the report counts its order and no check judges it. So a system at work can be audited without a pause.
//
// # Streams
//
//	orders ───────────────┐
//	payments ─────────────┤
//	provider's ledger ────┼─ merge by order id ─ judge ─ checks ─ Report
//	notifications ────────┘                        │
//	topics ─ stories, by order id, in memory ──────┘
//
// Rows arrive in the order of their order ids and are merged, so memory does not grow with the number of orders. With
// Config.Topics it does: one story for each order stays in memory until its order is judged, and so do all dead
// letters.
//
// # Failure
//
// Run returns an error, and no report, when a database or a topic cannot be read. It retries nothing and changes
// nothing, so the caller can run it again. A rule that does not hold is no error: it is an offender in the report.
//
// # Rows that retention removed
//
// An order of which retention removed the row, or the payment, is not judged: the report counts it. Its pieces count in the
// check of the stock. 8 bytes in memory name each of them.
package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/aside"
	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/hint"
)

// Config names the sources of an audit and its limits.
type Config struct {
	// OrdersURL, PaymentsURL and NotificationsURL name the databases; all three may be the same. Each role needs to
	// read only the views audit_... of its service's schema.
	OrdersURL, PaymentsURL, NotificationsURL string
	// Grace is how long a change may take to reach all services. An order that changed more recently is not judged.
	// With a Grace that is too short, messages on their way appear as faults.
	Grace time.Duration
	// ConnectTime bounds how long a connection to a database may take; 0 = 30 s. The queries have no limit but ctx.
	ConnectTime time.Duration
	// Topics, when not nil, names the Kafka that has the four topics: every order's state is rebuilt from them alone
	// and compared with its row. Run sets the fields Start, Follow, Topics and PassOver of a copy.
	Topics *feed.Config
	// Progress receives the number of messages read so far, and later the number of orders compared. Its calls come
	// from more than one goroutine but never overlap. It may be nil. A slow Progress delays the audit.
	Progress func(messages, orders int64)
}

// Progress is called once for so many messages, or orders.
const (
	messagesEvery = 500_000
	ordersEvery   = 100_000
)

// Run audits. An error means that the audit could not be done; the report names the rules that do not hold. Several
// calls may run at a time, since they share nothing.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	began := time.Now()
	a := &audit{cfg: cfg, checks: newChecks(), report: &Report{}, gaps: newGaps(), kept: map[string]int64{}, confirmed: map[string]int64{},
		stocked: map[string]int64{}, outside: outside{kept: map[string]int64{}}}
	if cfg.Progress == nil {
		a.cfg.Progress = func(int64, int64) {}
	}
	if err := a.run(ctx); err != nil {
		return nil, hint.Auditor(err)
	}
	if a.checks.topics != nil {
		a.checks.topics.Notes = append(a.gaps.notes(a.checks.topics.Unjudged), a.twiceNotes()...)
	}
	a.checks.strangers.Notes = a.outside.notes()
	if a.untold > 0 {
		a.checks.notified.Notes = []string{fmt.Sprintf("%d orders have no email: request them again with `pas order republish ORDER-ID…` or --placed-from TIME", a.untold)}
	}
	a.report.Checks, a.report.Took = a.checks.all(), time.Since(began)
	return a.report, nil
}

// audit is the state of one Run. One goroutine uses it, except that readStories fills stories, messages and gaps in a
// second one, before the merge begins.
type audit struct {
	cfg    Config
	checks checks
	report *Report
	before time.Time // a row that changed later is in flight
	fixed  time.Time // an order that changed later is not compared with the topics, which may lack its messages
	// By currency, in minor units: captured and not refunded; confirmed.
	kept, confirmed map[string]int64
	stories         *stories // nil without Topics
	messages        int64    // read for them
	gaps            *gaps
	outside         outside
	removed         removed
	stocked         map[string]int64 // by sku, of all products
	untold          int64            // settled orders without the notification of their status
	twice           int64            // orders with an email that was sent at two times
	twiceNamed      []string         // the first of them
}

// run fixes the ends of the topics, then opens the orders database: a.before counts from the earliest of the moments of the
// databases. A change that a later moment shows and an earlier one does not is newer than a.before, and in flight. A change after
// the ends were fixed is newer than a.fixed. The time between both is measured here, because the clocks of Kafka and Postgres may
// differ.
func (a *audit) run(ctx context.Context) error {
	var topics *feed.Feed
	began := time.Now()
	if a.cfg.Topics != nil {
		var err error
		if topics, err = a.openTopics(ctx); err != nil {
			return err
		}
		defer topics.Close()
	}
	orders, err := open(ctx, "orders", a.cfg.OrdersURL, a.cfg.ConnectTime)
	if err != nil {
		return err
	}
	defer orders.close()
	a.before, a.fixed = orders.now.Add(-a.cfg.Grace), orders.now.Add(-time.Since(began))
	// Before the payments: retention removes an entry after its payment, so an entry that is missing has a payment that is, too.
	ledger, err := open(ctx, "payments", a.cfg.PaymentsURL, a.cfg.ConnectTime)
	if err != nil {
		return err
	}
	defer ledger.close()
	payments, err := open(ctx, "payments", a.cfg.PaymentsURL, a.cfg.ConnectTime)
	if err != nil {
		return err
	}
	defer payments.close()
	notifications, err := open(ctx, "notifications", a.cfg.NotificationsURL, a.cfg.ConnectTime)
	if err != nil {
		return err
	}
	defer notifications.close()
	for _, b := range []*book{orders, payments} {
		if err := a.removed.read(ctx, b); err != nil {
			return err
		}
	}
	if err := a.ofEachAndTopics(ctx, topics, orders, payments, notifications); err != nil {
		return err
	}
	if err := a.merge(ctx, orders, payments, ledger, notifications); err != nil {
		return err
	}
	a.total()
	return nil
}

// ofEachAndTopics runs the checks of single databases while a second goroutine reads the topics, which takes longer.
// The first error cancels the other side. It returns only when both sides have ended, so nothing uses the connections
// afterwards. When the topics fail, their error counts: that of the databases is then a mere cancellation. topics is nil
// without Config.Topics.
func (a *audit) ofEachAndTopics(ctx context.Context, topics *feed.Feed, orders, payments, notifications *book) error {
	if topics == nil {
		return a.ofEachAlone(ctx, orders, payments, notifications)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a.checks.topics = &Check{Name: "topics", Holds: "each order's state, rebuilt from the topics alone, is the one that is kept", Examples: []string{}}
	apart, err := aside.Read(ctx, orders.tx, messages.ServiceOrders)
	if err != nil {
		return err
	}
	read := make(chan error, 1)
	go func() {
		var err error
		if a.stories, err = a.readStories(ctx, topics, apart); err != nil {
			stop()
		}
		read <- err
	}()
	asked := a.ofEachAlone(ctx, orders, payments, notifications)
	if asked != nil {
		stop()
	}
	if err := <-read; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return asked
}

// ofEachAlone runs the checks that need one database alone. One moment is enough for them, so they judge recent changes
// too.
func (a *audit) ofEachAlone(ctx context.Context, orders, payments, notifications *book) error {
	if err := a.ofOrdersAlone(ctx, orders); err != nil {
		return err
	}
	for _, b := range []*book{orders, payments, notifications} {
		if err := a.list(ctx, b, a.checks.parked, b.name+": ", parkedSQL); err != nil {
			return err
		}
	}
	return nil
}

// ofOrdersAlone checks stock, timelines, held messages and the outbox. An outbox row, or a held message, may wait for
// as long as Grace; an older one is an offender.
func (a *audit) ofOrdersAlone(ctx context.Context, orders *book) error {
	if err := a.stock(ctx, orders); err != nil {
		return err
	}
	if err := a.list(ctx, orders, a.checks.timeline, "", timelineSQL); err != nil {
		return err
	}
	if err := a.list(ctx, orders, a.checks.parked, "orders: ", heldSQL, a.cfg.Grace); err != nil {
		return err
	}
	rows, err := orders.tx.Query(ctx, outboxSQL, a.cfg.Grace)
	if err != nil {
		return fmt.Errorf("read outbox: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var topic, key string
		var old bool
		if err := rows.Scan(&id, &topic, &key, &old); err != nil {
			return fmt.Errorf("read outbox: %w", err)
		}
		a.checks.outbox.look()
		if old {
			a.checks.outbox.offend(fmt.Sprintf("row %d: %s of %s", id, topic, key))
		}
	}
	return rows.Err()
}

// stock checks each product twice: its four counters add up, and the orders that hold pieces account for the reserved
// and the sold ones.
func (a *audit) stock(ctx context.Context, orders *book) error {
	rows, err := orders.tx.Query(ctx, stockSQL)
	if err != nil {
		return fmt.Errorf("read stock: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var sku string
		var available, reserved, sold, stocked, ordersReserved, ordersSold int64
		if err := rows.Scan(&sku, &available, &reserved, &sold, &stocked, &ordersReserved, &ordersSold); err != nil {
			return fmt.Errorf("read stock: %w", err)
		}
		a.checks.stock.look()
		a.stocked[sku] = stocked
		if available+reserved+sold != stocked || reserved != ordersReserved || sold != ordersSold {
			a.checks.stock.offend(fmt.Sprintf("%s: %d available, %d reserved (orders: %d), %d sold (orders: %d) of %d",
				sku, available, reserved, ordersReserved, sold, ordersSold, stocked))
		}
	}
	return rows.Err()
}

// list runs a query that returns one text for each offender. An empty answer means that the rule holds.
func (a *audit) list(ctx context.Context, b *book, c *Check, prefix, sql string, args ...any) error {
	rows, err := b.tx.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("check %s of %s: %w", c.Name, b.name, err)
	}
	defer rows.Close()
	for rows.Next() {
		var what string
		if err := rows.Scan(&what); err != nil {
			return fmt.Errorf("check %s of %s: %w", c.Name, b.name, err)
		}
		c.offend(prefix + what)
	}
	return rows.Err()
}

// total compares the sums of money, each currency for itself. It runs after the merge, which adds only orders that are
// not in flight to both sums.
func (a *audit) total() {
	// A currency with confirmed orders and without a kept payment needs a sum, too: 0.
	for currency := range a.confirmed {
		a.kept[currency] += 0
	}
	for _, currency := range slices.Sorted(maps.Keys(a.kept)) {
		a.checks.money.look()
		if kept, confirmed := a.kept[currency], a.confirmed[currency]; kept != confirmed {
			a.checks.money.offend(fmt.Sprintf("%s: kept %s, confirmed orders come to %s", currency, amount(kept, currency), amount(confirmed, currency)))
		}
	}
}
