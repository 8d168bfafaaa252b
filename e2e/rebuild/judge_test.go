package rebuild

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// whole is a small world in which all is well.
func whole() seen {
	told := func(events ...string) map[string]bool {
		set := map[string]bool{messages.EventOrderPlaced: true}
		for _, e := range events {
			set[e] = true
		}
		return set
	}
	return seen{
		Orders: []order{{"paid", "confirmed", "", "pay_1"}, {"late", "rejected", "out_of_stock", ""}, {"back", "cancelled", "cancelled_by_user", "pay_2"},
			{"poor", "failed", "card_declined", ""}, {"open", "awaiting_payment", "", ""}, {"off", "cancelling", "cancelled_by_user", ""}},
		Charges: []charge{{"paid", "charged", 1, 0}, {"back", "refunded", 1, 1}, {"poor", "declined", 1, 0}},
		Emails: []email{{"<1>", "paid", "confirmed", ""}, {"<2>", "late", "rejected", ""}, {"<3>", "back", "confirmed", ""}, {"<4>", "back", "cancelled", ""},
			{"<5>", "poor", "failed", ""}},
		Products: []product{{"shoe", "5.00", 3}},
		Topics: map[string]map[string]bool{"paid": told("payment_requested", "payment_captured"), "late": told("order_rejected"),
			"back": told("payment_requested", "payment_captured", "order_confirmed", "refund_requested", "payment_refunded"), "poor": told("payment_requested", "payment_failed"),
			"open": told("payment_requested"), "off": told("refund_requested")},
		Sent: map[string]bool{"<1>": true, "<2>": true, "<3>": true, "<4>": true, "<5>": true},
	}
}

// settled is the same world when all has come to its end.
func settled() seen {
	s := whole()
	s.Orders[4] = order{"open", "confirmed", "", "pay_3"}
	s.Orders[5] = order{"off", "cancelled", "cancelled_by_user", ""}
	s.Charges = append(s.Charges, charge{"open", "charged", 1, 0})
	s.Emails = append(s.Emails, email{"<6>", "open", "confirmed", ""}, email{"<7>", "off", "cancelled", ""})
	return s
}

func TestTheJudgeIsContentWithAWorldThatStayed(t *testing.T) {
	t.Parallel()
	v := judge(whole(), settled())
	require.Empty(t, v.Problems)
	require.Empty(t, v.Unknown)
}

func TestTheJudgeNotices(t *testing.T) {
	t.Parallel()
	flaws := map[string]func(s *seen){
		"a confirmed order that failed":           func(s *seen) { s.Orders[0] = order{"paid", "failed", "out_of_stock", ""} },
		"a rejected order that was confirmed":     func(s *seen) { s.Orders[1] = order{"late", "confirmed", "", "pay_9"} },
		"a cancelled order that was confirmed":    func(s *seen) { s.Orders[2] = order{"back", "confirmed", "", "pay_2"} },
		"another reason":                          func(s *seen) { s.Orders[3].Reason = "insufficient_funds" },
		"another payment":                         func(s *seen) { s.Orders[0].PaymentID = "pay_9" },
		"an order that is gone":                   func(s *seen) { s.Orders = s.Orders[1:] },
		"an order without an end":                 func(s *seen) { s.Orders[4].Status = "awaiting_payment" },
		"a cancelling that was forgotten":         func(s *seen) { s.Orders[5].Status = "confirmed" },
		"an order of nobody":                      func(s *seen) { s.Orders = append(s.Orders, order{"new", "confirmed", "", ""}) },
		"a charge that was asked for again":       func(s *seen) { s.Charges[0].ChargeCalls = 2 },
		"a refusal that was asked for again":      func(s *seen) { s.Charges[2].ChargeCalls = 2 },
		"a refund that was asked for again":       func(s *seen) { s.Charges[1].RefundCalls = 2 },
		"a charge under a second key":             func(s *seen) { s.Charges = append(s.Charges, charge{"paid", "charged", 1, 0}) },
		"an email that came again":                func(s *seen) { s.Emails = append(s.Emails, s.Emails[0]) },
		"a new email that came twice":             func(s *seen) { s.Emails = append(s.Emails, s.Emails[6]) },
		"an email that says the opposite":         func(s *seen) { s.Emails = append(s.Emails, email{"<8>", "late", "confirmed", ""}) },
		"a product with other stock":              func(s *seen) { s.Products[0].Stocked = 4 },
		"a product with another price":            func(s *seen) { s.Products[0].Price = "6.00" },
		"a product that is gone":                  func(s *seen) { s.Products = nil },
		"an open order that is gone":              func(s *seen) { s.Orders = s.Orders[:4] },
		"an order that is being called off again": func(s *seen) { s.Orders[5].Status = "cancelling" },
	}
	for name, spoil := range flaws {
		after := settled()
		spoil(&after)
		require.NotEmpty(t, judge(whole(), after).Problems, name)
	}
}

// What had not reached Kafka cannot be made again. It is counted, and is no problem.
func TestTheJudgeCountsWhatCannotBeKnown(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		unheard func(before *seen)
		after   func(after *seen)
	}{
		neverPlaced: {func(b *seen) { b.Topics["open"] = nil }, func(a *seen) { a.Orders = append(a.Orders[:4], a.Orders[5]) }},
		endUnheard: {func(b *seen) { delete(b.Topics["late"], "order_rejected") },
			func(a *seen) {
				a.Orders[1], a.Emails[1] = order{"late", "confirmed", "", "pay_4"}, email{"<8>", "late", "confirmed", ""}
			}},
		cancelLost:    {func(b *seen) { delete(b.Topics["off"], "refund_requested") }, func(a *seen) { a.Orders[5].Status = "confirmed" }},
		sendUnheard:   {func(b *seen) { delete(b.Sent, "<1>") }, func(a *seen) { a.Emails = append(a.Emails, a.Emails[0]) }},
		sendUnsettled: {func(b *seen) { b.Unsettled = map[string]bool{"<1>": true} }, func(a *seen) { a.Emails = append(a.Emails, a.Emails[0]) }},
		outboxLost:    {func(b *seen) { b.Outbox = 1 }, func(a *seen) { a.Products[0].Stocked = 2 }},
		chargeLost:    {func(b *seen) { delete(b.Topics["paid"], "payment_captured") }, func(a *seen) { a.Charges[0].ChargeCalls = 2 }},
		refundUnsaid:  {func(b *seen) { delete(b.Topics["back"], "payment_refunded") }, func(a *seen) { a.Charges[1].RefundCalls = 2 }},
	}
	for reason, tt := range tests {
		before, after := whole(), settled()
		tt.unheard(&before)
		tt.after(&after)
		v := judge(before, after)
		require.Empty(t, v.Problems, reason)
		require.Equal(t, map[string]int{reason: 1}, v.Unknown)
	}
}
