package audit

import (
	"slices"
	"time"
)

// examplesKept bounds how many offenders of each check are named. All of them are counted.
const examplesKept = 10

// Check is one rule and its result. The JSON names are part of the tool's output: scripts read them.
type Check struct {
	Name     string   `json:"check"`
	Holds    string   `json:"holds"` // the rule, in words
	Looked   int64    `json:"looked_at"`
	Wrong    int64    `json:"wrong"`
	Examples []string `json:"examples"` // the first offenders, each with its fault
	// Unjudged counts orders among Looked that a gap may excuse; Notes name the gaps.
	Unjudged int64    `json:"not_judged,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

// Report is the result of an audit. Its checks are always all there, in a fixed order; topics only when topics were
// read.
type Report struct {
	Orders   int64         `json:"orders"`
	InFlight int64         `json:"in_flight"` // changed too recently to be judged
	Removed  int64         `json:"removed"`   // not judged, since retention removed their row or their payment, and rows of theirs are left
	Checks   []*Check      `json:"checks"`
	Took     time.Duration `json:"-"`
}

// Passed reports whether no check has an offender. Orders in flight and unjudged ones do not count against it.
func (r *Report) Passed() bool {
	return !slices.ContainsFunc(r.Checks, func(c *Check) bool { return c.Wrong > 0 })
}

// look counts one row that the check has examined. A check that examined nothing proves nothing, so the number is
// reported.
func (c *Check) look() { c.Looked++ }

// offend counts an offender. The first ten are kept with their names and faults.
func (c *Check) offend(what string) {
	c.Wrong++
	if len(c.Examples) < examplesKept {
		c.Examples = append(c.Examples, what)
	}
}

// checks has every check of one audit. topics is nil when no topics are read.
type checks struct {
	stock, timeline, outcome, money, charges, notified, overdue, outbox, strangers, parked, topics *Check
}

func newChecks() checks {
	c := func(name, holds string) *Check { return &Check{Name: name, Holds: holds, Examples: []string{}} }
	return checks{
		stock:     c("stock", "stocked = available + reserved + sold, and the orders hold exactly what is reserved and sold"),
		timeline:  c("timeline", "each order's changes are numbered without a gap and end in its status"),
		outcome:   c("outcome", "each settled order and its payment agree"),
		money:     c("money", "captured less refunded is what the confirmed orders come to, by currency"),
		charges:   c("charges", "the provider took money at most once for each order, and keeps what payments says"),
		notified:  c("notified", "each settled order has one notification of its outcome, and it was sent"),
		overdue:   c("overdue", "no order is unsettled beyond its deadline"),
		outbox:    c("outbox", "every outbox row was published"),
		strangers: c("strangers", "no payment, charge or notification of ours is about an order that does not exist, unless another producer requested it"),
		parked:    c("parked", "no message is parked or held"),
	}
}

// all returns the checks in the order of the report.
func (c checks) all() []*Check {
	list := []*Check{c.stock, c.timeline, c.outcome, c.money, c.charges, c.notified, c.overdue, c.outbox, c.strangers, c.parked}
	if c.topics != nil {
		list = append(list, c.topics)
	}
	return list
}
