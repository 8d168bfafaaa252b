package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// outside sums up the payments that a producer other than orders asked for, and that belong to no order of ours. Any
// producer may ask for a payment, so these payments are no fault. Their money is not compared with orders.
type outside struct {
	payments int64
	kept     map[string]int64 // by currency, in minor units
}

// take adds one payment. Only captured money is kept: a refunded or failed payment adds to the number alone.
func (o *outside) take(p *payment) {
	o.payments++
	if p.status == "captured" {
		o.kept[p.currency] += p.amount
	}
}

// notes returns one line with the number of these payments and their money, or nothing when there are none.
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
	return []string{fmt.Sprintf("payments requested by other producers, for no order of ours: %d; %s", o.payments, kept)}
}
