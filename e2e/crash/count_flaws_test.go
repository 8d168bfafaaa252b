package crash

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/e2e/purchase"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// sound returns three purchases, confirmed, failed and cancelled after its payment, and the books of a run without flaw.
func sound() ([]purchase.Purchase, *books) {
	purchases := []purchase.Purchase{
		{ID: "a", User: "u", Email: "u@example.com", SKU: "brush", Quantity: 2, TotalMinor: 500, Method: purchase.CardVisa},
		{ID: "b", User: "u", Email: "u@example.com", TotalMinor: 300, Method: purchase.CardDeclined},
		{ID: "c", User: "u", Email: "u@example.com", TotalMinor: 200, Method: purchase.CardVisa, Cancelled: true},
	}
	b := &books{
		Orders: []orderRow{{"a", "u", "confirmed", "", 500, "pay_a"}, {"b", "u", "failed", "card_declined", 300, ""},
			{"c", "u", "cancelled", "cancelled_by_user", 200, "pay_c"}},
		Steps: []stepRow{{"a", 1, "", "pending"}, {"a", 2, "pending", "awaiting_payment"}, {"a", 3, "awaiting_payment", "confirmed"},
			{"b", 1, "", "pending"}, {"b", 2, "pending", "failed"},
			{"c", 1, "", "pending"}, {"c", 2, "pending", "confirmed"}, {"c", 3, "confirmed", "cancelling"}, {"c", 4, "cancelling", "cancelled"}},
		Payments: []paymentRow{{"a", "captured", "", 500, "pay_a"}, {"b", "failed", "card_declined", 300, ""}, {"c", "refunded", "cancelled_by_user", 200, "pay_c"}},
		Ledger:   []ledgerRow{{"a", "charged", 500, "pay_a", 2}, {"b", "declined", 300, "pay_b", 1}, {"c", "refunded", 200, "pay_c", 1}},
		Stock:    []stockRow{{"brush", 8, 0, 2, 10}},
		Left:     []leftover{{"messages in the outbox", 0}},
	}
	for _, told := range []output{{"a", "order_placed", ""}, {"a", "payment_requested", ""}, {"a", "payment_captured", ""},
		{"b", "order_placed", ""}, {"b", "payment_requested", ""}, {"b", "payment_failed", ""}, {"c", "order_placed", ""},
		{"a", "order_placed", ""}, // again
		{"a", "order_confirmed", ""}, {"c", "order_confirmed", ""}, {"c", "order_cancelled", ""}} {
		b.Messages = append(b.Messages, record{Event: told.event, OrderID: told.order, MessageID: told.String(), Body: "{}"})
	}
	for _, end := range []output{{"a", "", "confirmed"}, {"b", "", "failed"}, {"c", "", "cancelled"}} {
		id := end.order + end.kind
		b.Notifications = append(b.Notifications, notificationRow{end.order, end.kind, "sent", "u@example.com"})
		b.Emails = append(b.Emails, email{"u@example.com", end.order, end.kind, id})
		b.Messages = append(b.Messages, record{Event: "notification_requested", Kind: end.kind, OrderID: end.order, MessageID: id})
		b.Messages = append(b.Messages, record{Event: "notification_sent", Kind: end.kind, OrderID: end.order, MessageID: "sent" + id, Body: "{}"})
	}
	b.Emails = append(b.Emails, b.Emails[0]) // a repeat is allowed
	return purchases, b
}

func TestTheCountIsContentWithSoundBooks(t *testing.T) {
	t.Parallel()
	purchases, b := sound()
	for _, id := range []string{"changed 1", "changed 2"} { // of products, not of orders
		b.Messages = append(b.Messages, record{Event: "inventory_changed", MessageID: id, Body: "{}"})
	}
	sum, problems := countUp(purchases, b)
	require.Empty(t, problems)
	require.Equal(t, map[string]int{"confirmed": 1, "failed": 1, "cancelled": 1}, sum.Outcomes)
	require.Equal(t, int64(700), sum.ChargedMinor)
	require.Equal(t, int64(200), sum.RefundedMinor)
	require.Equal(t, []int{1, 1, 1, 1}, []int{sum.ChargesAskedAgain, sum.MessagesAgain, sum.Repeats, sum.Superseded})
}

// Each flaw is what a protection that does not work would leave behind.
func TestTheCountNotices(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		flaw func(b *books)
		says string
	}{
		"a lost order": {func(b *books) { b.Orders = b.Orders[1:] }, "order a was accepted and is lost"},
		"an order of nobody": {func(b *books) { b.Orders = append(b.Orders, orderRow{ID: "x", Status: "failed"}) },
			"order x was placed by nobody"},
		"an order that is not settled": {func(b *books) { b.Orders[0].Status = "awaiting_payment" },
			`order a is "awaiting_payment ", expected ["confirmed "]`},
		"another outcome than the card's": {func(b *books) { b.Orders[1].Reason = "insufficient_funds" },
			`order b is "failed insufficient_funds", expected ["failed card_declined"]`},
		"a status reached twice": {func(b *books) { b.Steps[8].To = "confirmed" }, "order c became confirmed twice"},
		"a missing step":         {func(b *books) { b.Steps = slices.Delete(b.Steps, 1, 2) }, "order a goes from step 1 (pending) to step 3 (awaiting_payment to confirmed)"},
		"a second charge": {func(b *books) { b.Ledger = append(b.Ledger, ledgerRow{"a", "charged", 500, "pay_a2", 1}) },
			"order a was charged 2 times"},
		"money kept for a cancelled order": {func(b *books) { b.Ledger[2].Status = "charged" }, "order c is cancelled, and its money was kept"},
		"a confirmed order without money":  {func(b *books) { b.Ledger = b.Ledger[1:] }, "order a is confirmed and was never charged"},
		"stock that stays set aside": {func(b *books) { b.Stock[0].Available, b.Stock[0].Reserved = 7, 1 },
			"brush: 7 available, 1 reserved, 2 sold of 10, but 2 were confirmed"},
		"stock sold twice": {func(b *books) { b.Stock[0].Available, b.Stock[0].Sold = 6, 4 },
			"brush: 6 available, 0 reserved, 4 sold of 10, but 2 were confirmed"},
		"a decision under two ids": {func(b *books) { b.Messages[7].MessageID = "new" },
			"order_placed of order a is two messages, order_placed of order a and new"},
		"a decision with two bodies": {func(b *books) { b.Messages[7].Body = "{1}" }, "order_placed of order a has two bodies: {} and {1}"},
		"a message never published": {func(b *books) { b.Messages = slices.Delete(b.Messages, 5, 6) },
			"there is no message payment_failed of order b, although the order is failed"},
		"an email whose outcome was never published": {func(b *books) { b.Messages = b.Messages[:len(b.Messages)-1] },
			"there is no message notification_sent (cancelled) of order c, although the order is cancelled"},
		"one email that was sent at two times": {func(b *books) {
			last := b.Messages[len(b.Messages)-1]
			last.Body = "{1}"
			b.Messages = append(b.Messages, last)
		}, "notification_sent (cancelled) of order c has two bodies: {} and {1}"},
		"an outcome never published": {func(b *books) { b.Messages = slices.Delete(b.Messages, 8, 9) },
			"there is no message order_confirmed of order a, although the order is confirmed"},
		"an outcome that never was": {func(b *books) { b.Messages[10].OrderID = "b" },
			"there is a message order_cancelled of order b, although the order is failed"},
		"a notification that is lost": {func(b *books) { b.Notifications = b.Notifications[1:] },
			"order a is confirmed, and its customer was not told"},
		"a notification that is not sent": {func(b *books) { b.Notifications[0].Status = "pending" }, "notification confirmed of order a is pending"},
		"a notification of what never was": {func(b *books) { b.Notifications[0].Kind = "failed" },
			"order a was never failed, and its customer was told so"},
		"an email never sent":           {func(b *books) { b.Emails = b.Emails[1:2] }, "email confirmed of order a is marked as sent and never was"},
		"an email as two":               {func(b *books) { b.Emails[3].MessageID = "new" }, "email confirmed of order a was sent under two Message-IDs, aconfirmed and new"},
		"work that is left":             {func(b *books) { b.Left[0].Count = 3 }, "messages in the outbox: 3"},
		"a fraud alert without a cause": {func(b *books) { b.Notifications[1].Kind = "fraud_alert" }, "order b was reported as fraud without reason"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			purchases, b := sound()
			c.flaw(b)
			_, problems := countUp(purchases, b)
			require.Contains(t, problems, c.says)
		})
	}
}
