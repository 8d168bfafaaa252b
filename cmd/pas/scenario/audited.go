package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/audit"
)

// Books are the databases behind the services.
type Books interface {
	// Audit compares the databases with each other and with the topics. It judges every order, with no grace
	// for recent ones.
	Audit(ctx context.Context) (*audit.Report, error)
	// Misplace books pieces of a product as sold that no order bought. A negative number takes that back.
	Misplace(ctx context.Context, sku string, pieces int64) error
}

// Audited expects all books of the system to agree, and an audit to find a spoiled one. It spoils one of its
// own products and puts it right: an audit that never fails would prove nothing.
func Audited() Scenario {
	return Scenario{Name: "audited", Title: "the records of all services agree with each other and with the topics; a wrong row is found",
		Needs: []Need{NeedBooks}, play: func(a *act) {
			a.openWire()
			sku := a.product("ledger line", "7.00", 5)
			order := a.settled(a.place(a.order("max", sku, 2)).OrderID, "confirmed", "")
			a.emails(order.OrderID, messages.KindConfirmed)
			if !a.ok() {
				return
			}
			// The topics must hold every consequence of this order, since the audit rebuilds its state from
			// them.
			a.quiet(order.OrderID)
			a.balanced()

			a.misplace(sku, 1)
			report := a.audit()
			wrong := offences(report)
			// Exactly one check may fail, and it must name the product: an audit that reports everything would
			// be of no use.
			if a.ok() && (len(wrong) != 1 || !strings.Contains(wrong[0], sku)) {
				a.fail("a piece of %s was recorded as sold without an order, and the audit found %v", sku, wrong)
			}
			for _, w := range wrong {
				a.note("a piece recorded as sold without an order is found: %s", w)
			}
			a.misplace(sku, -1)
			a.balanced()
			a.stock(sku, 3, 0, 2)
		}}
}

// balanced waits until every check holds. It waits, since the last messages of other orders may still be on
// their way.
func (a *act) balanced() {
	var report *audit.Report
	a.until("all services should agree with each other", func(ctx context.Context) error {
		var err error
		if report, err = a.env.Books.Audit(ctx); err != nil {
			return err
		}
		if wrong := offences(report); len(wrong) > 0 {
			return fmt.Errorf("%s", strings.Join(wrong, "; "))
		}
		return nil
	})
	if a.ok() {
		a.note("%d checks hold over %d orders, rebuilt from the topics as well", len(report.Checks), report.Orders)
	}
}

// audit runs one audit and returns its report; it returns nil when the act has failed.
func (a *act) audit() *audit.Report {
	if !a.ok() {
		return nil
	}
	report, err := a.env.Books.Audit(a.ctx)
	a.try(err, "audit")
	return report
}

// misplace spoils the stock of a product, or puts it right. Stock that is still spoiled when the act ends is
// put right then.
func (a *act) misplace(sku string, pieces int64) {
	if !a.ok() {
		return
	}
	if a.misplaced == nil {
		a.misplaced = map[string]int64{}
		a.undo = append(a.undo, a.putRight)
	}
	if a.try(a.env.Books.Misplace(a.ctx, sku, pieces), "misplace %d of %s", pieces, sku) {
		a.misplaced[sku] += pieces
	}
}

// putRight takes back the pieces that are still misplaced.
func (a *act) putRight(ctx context.Context) error {
	var errs []error
	for sku, pieces := range a.misplaced {
		if pieces != 0 {
			errs = append(errs, a.env.Books.Misplace(ctx, sku, -pieces))
		}
	}
	return errors.Join(errs...)
}

// offences lists the failed checks with their examples.
func offences(r *audit.Report) []string {
	var wrong []string
	if r == nil {
		return wrong
	}
	for _, c := range r.Checks {
		if c.Wrong > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %s", c.Name, strings.Join(c.Examples, ", ")))
		}
	}
	return wrong
}
