package report

import (
	"fmt"
	"strings"
)

// The verdicts of a goal.
const (
	Met         = "met"
	Missed      = "missed"
	NotMeasured = "not measured"
)

// Goal is a goal with its verdict. docs/performance.md has the wording of each.
type Goal struct {
	Name    string  `json:"name"`
	Verdict string  `json:"verdict"`
	Checks  []Check `json:"checks"`
}

// Check is one figure of a goal, with its limit.
type Check struct {
	What     string  `json:"what"`
	Measured bool    `json:"measured"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	AtLeast  bool    `json:"at_least"` // the limit is a minimum; false: a maximum
	Limit    float64 `json:"limit"`
	Met      bool    `json:"met"`
}

// atLeast makes a check with a minimum. A value that was not measured is never met.
func atLeast(what string, limit float64, unit string, value float64, measured bool) Check {
	return Check{What: what, Measured: measured, Value: value, Unit: unit, AtLeast: true, Limit: limit, Met: measured && value >= limit}
}

// atMost makes a check with a maximum. A value that was not measured is never met.
func atMost(what string, limit float64, unit string, value float64, measured bool) Check {
	return Check{What: what, Measured: measured, Value: value, Unit: unit, Limit: limit, Met: measured && value <= limit}
}

// String returns a check as one phrase: value, limit, and verdict.
func (c Check) String() string {
	sign := "<="
	if c.AtLeast {
		sign = ">="
	}
	if !c.Measured {
		return fmt.Sprintf("%s: not measured (%s %s%s)", c.What, sign, number(c.Limit), c.Unit)
	}
	verdict := "met"
	if !c.Met {
		verdict = "MISSED"
	}
	return fmt.Sprintf("%s: %s%s (%s %s%s, %s)", c.What, number(c.Value), c.Unit, sign, number(c.Limit), c.Unit, verdict)
}

// number formats a figure with about three significant digits, without thousands separators.
func number(v float64) string {
	switch {
	case v == 0 || v >= 100 || v == float64(int(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
	}
}

// Line returns a goal as one line.
func (g Goal) Line() string {
	texts := make([]string, len(g.Checks))
	for i, c := range g.Checks {
		texts[i] = c.String()
	}
	return fmt.Sprintf("%s %s: %s", g.Name, g.Verdict, strings.Join(texts, "; "))
}

// goal judges. One missed check makes the goal missed, even when others were not measured. A goal is met only
// when all its checks are measured and met.
func goal(name string, checks ...Check) Goal {
	g := Goal{Name: name, Verdict: Met, Checks: checks}
	for _, c := range checks {
		switch {
		case c.Measured && !c.Met:
			g.Verdict = Missed
			return g
		case !c.Measured:
			g.Verdict = NotMeasured
		}
	}
	return g
}

// An order's way from its POST to its email has four messages, one after the other: order_placed,
// payment_requested, payment_captured, notification_requested. It has six commits: the order with its
// outbox row, the reservation, the provider's charge, the payment, the confirmation, the notification. Five
// of them go through a coalescer: the provider's charge is not a step of its own. A change of the
// choreography must change these numbers.
const (
	hops      = 4
	commits   = 6
	coalesced = 5
)

// Floor returns the shortest possible time of an order's way, in milliseconds: its hops and its commits on idle
// servers.
func (r *Results) Floor() (ms float64, ok bool) {
	hop, a := Median(r.Figure(Hop))
	commit, b := Median(r.Figure(Commit))
	return hops*hop + commits*commit, a && b
}

// The shares of saturation in the goals.
const (
	halfLoad = 0.5
	lowLoad  = 0.01
)

// Judge sets the goals: those of the product, or the comparison with another revision. It can be repeated on
// stored results.
func (r *Results) Judge() {
	if r.Against != "" {
		r.Goals = []Goal{r.compare()}
		return
	}
	r.Goals = []Goal{r.g1(), r.g2(), r.g3(), r.g4(), r.g5(), r.g6(), r.g7()}
}

// g1: the product settles at least as many orders as pgbench alone runs lifecycles on the same durable
// Postgres.
func (r *Results) g1() Goal {
	pas := r.Of(Pas, Settled)
	single, a := ratio(pas, r.Figure(PgbenchSingle))
	many, b := ratio(pas, r.Figure(PgbenchMany))
	return goal("G1", atLeast("pas to pgbench with single statements", 1, "x", single, a),
		atLeast("to pgbench with many statements", 1.5, "x", many, b))
}

// g2: the product settles more orders for less processor time than peers that follow the usual advice.
func (r *Results) g2() Goal {
	pas, cpu := r.Of(Pas, Settled), r.Of(Pas, Whole)
	idiomatic, a := ratio(pas, r.Of(Idiomatic, Settled))
	less, b := ratio(cpu, r.Of(Idiomatic, Whole))
	python, c := ratio(pas, r.Of(Python, Settled))
	return goal("G2", atLeast("pas to idiomatic", 4, "x", idiomatic, a), atMost("CPU per order to idiomatic", 0.25, "x", less, b),
		atLeast("pas to python", 10, "x", python, c))
}

// g3: latency at half load is close to its floor, has no long tail, and coalescing does not delay a lone order.
func (r *Results) g3() Goal {
	half, a := r.At(Pas, halfLoad)
	low, b := r.At(Pas, lowLoad)
	floor, c := r.Floor()
	overFloor, ok := Ratio(half.Emails.P50, floor)
	spread, ok2 := Ratio(half.Emails.P99, half.Emails.P50)
	us, d := Median(r.Figure(Coalescing))
	share, ok3 := Ratio(coalesced*us/1000, low.Emails.P50)
	return goal("G3", atMost("p50 at half load to the floors", 1.5, "x", overFloor, a && c && ok),
		atMost("p99 to p50", 5, "x", spread, a && ok2), atMost("p99", 100, " ms", half.Emails.P99, a),
		atMost("coalescing at 1 % load", 5, " %", 100*share, b && d && ok3))
}

// g4: accepting an order durably costs little beside HTTP alone, and far less than a transaction per request.
func (r *Results) g4() Goal {
	taken := r.Figure(Ingest)
	noop, a := ratio(taken, r.Figure(NoOp))
	tx, b := ratio(taken, r.Figure(Transaction))
	return goal("G4", atLeast("durable 202s to the no-op handler's", 0.4, "x", noop, a),
		atLeast("to a transaction per request", 4, "x", tx, b))
}

// g5: many orders for one product are nearly as fast as spread ones, and never sell a piece twice.
func (r *Results) g5() Goal {
	hot, a := ratio(r.Of(OneProduct, Settled), r.Of(Pas, Settled))
	oversold := Rounds(r.Figure(Oversold))
	return goal("G5", atLeast("all orders on one product to spread ones", 0.9, "x", hot, a), atMost("oversold", 0, "", oversold.Max, oversold.N > 0))
}

// g6: the relay is faster than watermill's forwarder, adds little delay, and a forgotten transaction hardly
// slows it.
func (r *Results) g6() Goal {
	// The slower of its two ways counts.
	memory, a := ratio(r.Figure(RelayMemory), r.Figure(Forwarder))
	table, b := ratio(r.Figure(RelayRecovery), r.Figure(Forwarder))
	ack, c := Median(r.Figure(RelayAck99))
	beside, d := Median(r.Figure(OpenTransaction))
	return goal("G6", atLeast("relay to the stock forwarder, its slower way", 10, "x", min(memory, table), a && b),
		atMost("commit to Kafka's acknowledgement at half load, p99", 5, " ms", ack, c),
		atMost("a 10-minute open transaction costs", 5, " %", 100*(1-beside), d))
}

// g7: a second replica costs nothing, and one partition is no limit for a slow handler.
func (r *Results) g7() Goal {
	two, a := ratio(r.Of(Replicas, Settled), r.Of(Pas, Settled))
	lanes, b := ratio(r.Figure(Lanes), r.Figure(StockConsumer))
	return goal("G7", atLeast("two replicas to one", 1, "x", two, a), atLeast("one partition, 1 ms handler, to stock watermill-kafka", 50, "x", lanes, b))
}
