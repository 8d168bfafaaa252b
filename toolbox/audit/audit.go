// Package audit compares what the three services, the payment provider and, when asked, the topics say of every order.
//
// It reads each database in one read-only transaction that shows one moment. The moments differ a little, so what changed
// within the grace before the first of them is in flight: it is counted and not judged, and a system at work can be
// audited. The orders are read as streams in the order of their ids and merged, so memory does not grow with them, except
// for --topics.
package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/hint"
)

// Config says what to audit.
type Config struct {
	// OrdersURL, PaymentsURL and NotificationsURL name the databases; they may be one. A role that may read is enough.
	OrdersURL, PaymentsURL, NotificationsURL string
	// Grace is how long a change takes to be everywhere. An order that changed more recently is not judged.
	Grace time.Duration
	// Topics, when not nil, is where the four topics are: every order's state is rebuilt from them alone and compared.
	Topics *feed.Config
	// Progress is told from time to time how many messages were read so far, and then how many orders compared. May be nil.
	Progress func(messages, orders int64)
}

// So many messages, or orders, pass between two calls of Progress.
const (
	messagesEvery = 500_000
	ordersEvery   = 100_000
)

// Run audits. An error means that it could not be done; what does not hold is in the report.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	began := time.Now()
	a := &audit{cfg: cfg, checks: newChecks(), report: &Report{}, gaps: newGaps(), kept: map[string]int64{}, confirmed: map[string]int64{},
		outside: outside{kept: map[string]int64{}}}
	if cfg.Progress == nil {
		a.cfg.Progress = func(int64, int64) {}
	}
	if err := a.run(ctx); err != nil {
		return nil, hint.Auditor(err)
	}
	if a.checks.topics != nil {
		a.checks.topics.Notes = a.gaps.notes(a.checks.topics.Unjudged)
	}
	a.checks.strangers.Notes = a.outside.notes()
	a.report.Checks, a.report.Took = a.checks.all(), time.Since(began)
	return a.report, nil
}

type audit struct {
	cfg    Config
	checks checks
	report *Report
	before time.Time // what changed later is in flight
	// By currency, in minor units: captured and not refunded; confirmed.
	kept, confirmed map[string]int64
	stories         *stories // nil without Topics
	messages        int64    // read for them
	gaps            *gaps
	outside         outside
}

func (a *audit) run(ctx context.Context) error {
	orders, err := open(ctx, "orders", a.cfg.OrdersURL)
	if err != nil {
		return err
	}
	defer orders.close()
	a.before = orders.now.Add(-a.cfg.Grace)
	payments, err := open(ctx, "payments", a.cfg.PaymentsURL)
	if err != nil {
		return err
	}
	defer payments.close()
	notifications, err := open(ctx, "notifications", a.cfg.NotificationsURL)
	if err != nil {
		return err
	}
	defer notifications.close()
	if err := a.ofEachAndTopics(ctx, orders, payments, notifications); err != nil {
		return err
	}
	if err := a.merge(ctx, orders, payments, notifications); err != nil {
		return err
	}
	a.total()
	return nil
}

// ofEachAndTopics asks the databases while the topics are read, which takes longer. What fails first ends both.
func (a *audit) ofEachAndTopics(ctx context.Context, orders, payments, notifications *book) error {
	if a.cfg.Topics == nil {
		return a.ofEachAlone(ctx, orders, payments, notifications)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a.checks.topics = &Check{Name: "topics", Holds: "each order's state, rebuilt from the topics alone, is the one that is kept", Examples: []string{}}
	apart, err := putAside(ctx, orders)
	if err != nil {
		return err
	}
	read := make(chan error, 1)
	go func() {
		var err error
		if a.stories, err = a.readStories(ctx, apart); err != nil {
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

// ofEachAlone checks what one service's database can tell.
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

// ofOrdersAlone checks what one service's database can tell.
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
		if available+reserved+sold != stocked || reserved != ordersReserved || sold != ordersSold {
			a.checks.stock.offend(fmt.Sprintf("%s: %d available, %d reserved (orders: %d), %d sold (orders: %d) of %d",
				sku, available, reserved, ordersReserved, sold, ordersSold, stocked))
		}
	}
	return rows.Err()
}

// list runs a query that names offenders.
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

// total compares the sums of money.
func (a *audit) total() {
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
