package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// outside adds up the payments that a producer other than orders asked for, and that are no order's. Any producer may ask
// for one, so they are no fault; what is kept of them is not compared with orders.
type outside struct {
	payments int64
	kept     map[string]int64 // by currency, in minor units
}

func (o *outside) take(p *payment) {
	o.payments++
	if p.status == "captured" {
		o.kept[p.currency] += p.amount
	}
}

// notes say how many there are and what is kept of them.
func (o *outside) notes() []string {
	if o.payments == 0 {
		return nil
	}
	sums := []string{}
	for _, currency := range slices.Sorted(maps.Keys(o.kept)) {
		sums = append(sums, amount(o.kept[currency], currency))
	}
	kept := "nothing is kept of them"
	if len(sums) > 0 {
		kept = "kept of them: " + strings.Join(sums, ", ")
	}
	return []string{fmt.Sprintf("payments asked for from outside, for no order of ours: %d; %s", o.payments, kept)}
}
