package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/domain"
)

// told makes a story: each message is a second after the one before, of the service that usually writes it.
func told(events ...messages.Event) []messages.Message {
	list := make([]messages.Message, len(events))
	for i, e := range events {
		list[i] = messages.Message{Event: e, Source: messages.ServiceOrders, Time: time.Unix(1700000000+int64(i), 0).UTC()}
		switch e.(type) {
		case messages.PaymentCaptured, messages.PaymentFailed, messages.PaymentRefunded:
			list[i].Source = messages.ServicePayments
		}
	}
	return list
}

// by says who wrote a message.
func by(source string, list []messages.Message) []messages.Message {
	for i := range list {
		list[i].Source = source
	}
	return list
}

var (
	two       = []messages.Item{{SKU: "a", Quantity: 2}, {SKU: "b", Quantity: 1}}
	twoPriced = []messages.Item{{SKU: "a", Quantity: 2, UnitPrice: &messages.Money{Minor: 100, Currency: "USD"}},
		{SKU: "b", Quantity: 1, UnitPrice: &messages.Money{Minor: 300, Currency: "USD"}}}
	fromShop    = messages.OrderPlaced{OrderID: "o", UserID: "u", Total: messages.Money{Currency: "USD"}, Items: two}
	fromHTTP    = messages.OrderPlaced{OrderID: "o", UserID: "u", Total: usd(500), HasTotal: true, Items: twoPriced}
	asked       = messages.PaymentRequested{OrderID: "o", UserID: "u", Amount: usd(500), Items: twoPriced, Step: "order_placed"}
	askedOld    = messages.PaymentRequested{OrderID: "o", UserID: "u", Amount: usd(500)}
	paid        = messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: usd(500), PaymentID: "p"}
	declined    = messages.PaymentFailed{OrderID: "o", UserID: "u", Total: usd(500), Reason: "card_declined"}
	goneBack    = messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: usd(500), PaymentID: "p"}
	nothing     = messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: usd(0)}
	isPaid      = messages.OrderConfirmed{OrderID: "o", UserID: "u", Total: usd(500), Items: twoPriced, PaymentID: "p", Step: "payment_captured"}
	isGivenBack = messages.OrderCancelled{OrderID: "o", UserID: "u", Total: usd(500), Items: twoPriced, Reason: "payment_refunded", PaymentID: "p", Step: "payment_refunded"}
	isRejected  = messages.OrderRejected{OrderID: "o", UserID: "u", Total: usd(500), Items: twoPriced, Reason: "out_of_stock"}
)

func back(reason string) messages.RefundRequested {
	return messages.RefundRequested{OrderID: "o", UserID: "u", Amount: usd(500), Reason: reason}
}

func mailed(kind string) messages.NotificationRequested {
	return messages.NotificationRequested{OrderID: "o", UserID: "u", Kind: kind, Message: "m"}
}

func failedFor(reason, payment string) messages.OrderFailed {
	return messages.OrderFailed{OrderID: "o", UserID: "u", Total: usd(500), Items: twoPriced, Reason: reason, PaymentID: payment, Step: "payment_refunded"}
}

func cancelledBy(step, payment string) messages.OrderCancelled {
	return messages.OrderCancelled{OrderID: "o", UserID: "u", Total: usd(500), Items: twoPriced, Reason: "cancelled_by_user", PaymentID: payment, Step: step}
}

func TestFold(t *testing.T) {
	t.Parallel()
	shop := by("shop:", told(fromShop))
	after := func(before []messages.Message, events ...messages.Event) []messages.Message {
		rest := told(events...)
		for i := range rest {
			rest[i].Time = rest[i].Time.Add(time.Minute)
		}
		return append(append([]messages.Message{}, before...), rest...)
	}
	ofAnother := declined
	ofAnother.Total = usd(7)
	other := fromShop
	other.UserID = "somebody"
	cases := map[string]struct {
		told  []messages.Message
		is    string // status, reason, payment, stock; "" = no row
		open  string
		lines []messages.Item // nil = twoPriced
	}{
		"taken over HTTP":                                            {told: told(fromHTTP), is: "pending   none", open: "order_placed has no outcome"},
		"from a shop, not read":                                      {told: shop, open: "order_placed has no outcome"},
		"asked for":                                                  {told: after(shop, asked), is: "awaiting_payment   reserved"},
		"asked for by an earlier version":                            {told: after(shop, askedOld), is: "awaiting_payment   reserved", lines: two},
		"paid, and not confirmed":                                    {told: after(shop, asked, paid), is: "confirmed  p sold", open: "payment_captured has no outcome"},
		"declined, and not said":                                     {told: after(shop, asked, declined), is: "failed card_declined  none", open: "payment_failed has no outcome"},
		"declined before its step, and not said":                     {told: told(fromHTTP, declined), is: "failed card_declined  none", open: "payment_failed has no outcome"},
		"paid before its step":                                       {told: told(fromHTTP, paid), is: "pending   none", open: "payment_captured has no outcome"},
		"timed out and given back, and not said":                     {told: after(shop, asked, back("payment_timeout"), declined, nothing), is: "failed payment_timeout  none", open: "payment_refunded has no outcome"},
		"called off when confirmed, and not ended":                   {told: after(shop, asked, paid, isPaid, back("cancelled_by_user"), goneBack), is: "cancelled cancelled_by_user p none", open: "payment_refunded has no outcome"},
		"given back without a request, and not said":                 {told: after(shop, asked, paid, isPaid, goneBack), is: "cancelled payment_refunded p none", open: "payment_refunded has no outcome"},
		"paid and given back, and not said":                          {told: after(shop, asked, paid, goneBack), is: "confirmed  p sold", open: "payment_refunded has no outcome"},
		"declined for another amount":                                {told: after(shop, asked, ofAnother), is: "awaiting_payment   reserved"},
		"declined":                                                   {told: after(shop, asked, declined, mailed("failed")), is: "failed card_declined  none"},
		"confirmed":                                                  {told: after(shop, asked, paid, isPaid), is: "confirmed  p sold"},
		"confirmed, said twice":                                      {told: after(shop, asked, paid, isPaid, paid, isPaid), is: "confirmed  p sold"},
		"confirmed by an earlier version":                            {told: after(shop, askedOld, paid, mailed("confirmed")), is: "confirmed  p sold", lines: two},
		"rejected":                                                   {told: after(shop, isRejected), is: "rejected out_of_stock  none"},
		"rejected, then decided anew":                                {told: after(shop, isRejected, asked, paid, isPaid), is: "rejected out_of_stock p none", open: "payment_captured has no outcome"},
		"cancelled at once":                                          {told: told(fromHTTP, cancelledBy("http", "")), is: "cancelled cancelled_by_user  none"},
		"cancelled at once, then decided anew":                       {told: told(fromHTTP, cancelledBy("http", ""), asked), is: "cancelled cancelled_by_user  none"},
		"called off":                                                 {told: after(shop, asked, back("cancelled_by_user")), is: "cancelling cancelled_by_user  reserved"},
		"called off when confirmed":                                  {told: after(shop, asked, paid, isPaid, back("cancelled_by_user")), is: "cancelling cancelled_by_user p sold"},
		"called off, then confirmed anew":                            {told: after(shop, asked, back("payment_timeout"), paid, isPaid), is: "cancelling payment_timeout p reserved"},
		"called off by its user, then confirmed anew":                {told: after(shop, asked, back("cancelled_by_user"), paid, isPaid), is: "cancelling cancelled_by_user p reserved"},
		"called off, and given back":                                 {told: after(shop, asked, back("cancelled_by_user"), paid, goneBack), is: "cancelled cancelled_by_user p none", open: "payment_refunded has no outcome"},
		"cancelled":                                                  {told: after(shop, asked, paid, isPaid, back("cancelled_by_user"), goneBack, cancelledBy("payment_refunded", "p")), is: "cancelled cancelled_by_user p none"},
		"cancelled in an earlier version":                            {told: after(shop, askedOld, paid, mailed("confirmed"), back("cancelled_by_user"), goneBack, mailed("cancelled")), is: "cancelled cancelled_by_user p none", lines: two},
		"called off by its user, then confirmed and given back anew": {told: after(shop, asked, back("cancelled_by_user"), paid, isPaid, goneBack, isGivenBack), is: "cancelled payment_refunded p none"},
		"called off when confirmed, then given back anew":            {told: after(shop, asked, paid, isPaid, back("cancelled_by_user"), goneBack, isGivenBack), is: "cancelled payment_refunded p none"},
		"timed out, then confirmed and given back anew":              {told: after(shop, asked, back("payment_timeout"), paid, isPaid, goneBack, isGivenBack), is: "cancelled payment_refunded p none"},
		"short, then confirmed and given back anew":                  {told: after(shop, asked, back("out_of_stock"), paid, isPaid, goneBack, isGivenBack), is: "cancelled payment_refunded p none"},
		"given back without a request":                               {told: after(shop, asked, paid, isPaid, goneBack, isGivenBack), is: "cancelled payment_refunded p none"},
		"timed out, declined after that":                             {told: after(shop, asked, back("payment_timeout"), declined, nothing, failedFor("payment_timeout", "")), is: "failed payment_timeout  none"},
		"paid after the end":                                         {told: after(shop, isRejected, paid, back("order_rejected")), is: "rejected out_of_stock p none"},
		"paid after the end, and not given back":                     {told: after(shop, isRejected, paid), is: "rejected out_of_stock p none", open: "payment_captured has no outcome"},
		"short when it was paid":                                     {told: after(shop, paid, back("out_of_stock")), is: "cancelling out_of_stock p none", lines: two},
		"another order_placed first":                                 {told: after(by("shop:", told(other, fromShop)), asked), is: "awaiting_payment   reserved"},
		"order_placed is gone":                                       {told: told(asked, paid, isPaid), is: "confirmed  p sold"},
		"a decision that somebody else wrote":                        {told: append(after(shop, asked), by("shop:", told(isRejected))...), is: "awaiting_payment   reserved"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := domain.Fold(c.told, nil, policy)
			is := ""
			if o := f.Order; o.ID != "" {
				is = string(o.Status) + " " + o.Reason + " " + o.PaymentID + " " + string(o.Holds)
				lines := c.lines
				if lines == nil {
					lines = twoPriced
				}
				require.Len(t, o.Lines, len(lines))
				for i, l := range o.Lines {
					require.Equal(t, lines[i].SKU, l.SKU)
					require.Equal(t, lines[i].Quantity, l.Quantity)
					if lines[i].UnitPrice != nil {
						require.Equal(t, *lines[i].UnitPrice, l.UnitPrice)
					}
				}
				require.Equal(t, usd(500), o.Total)
				require.Equal(t, "u", o.UserID)
				require.EqualValues(t, len(o.Changes), o.Version)
				require.Equal(t, c.lines != nil, f.Unknown != "", f.Unknown)
			}
			require.Equal(t, c.is, is, f.Unknown)
			require.Equal(t, c.open, f.Open)
		})
	}
}

func TestFoldSaysWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		told    []messages.Message
		unknown string
	}{
		"only the answer of payments is left":  {told(paid), "payments answers a request of orders, and the order is in no topic"},
		"only the email is left":               {told(mailed("confirmed")), "no message has the order's total"},
		"an earlier version's request is left": {told(askedOld, paid), "no message has the order's lines"},
		"why it failed is gone":                {told(fromHTTP, asked, mailed("failed")), "the topics say that the order is failed, and no longer how it came to that"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := domain.Fold(c.told, nil, policy)
			require.Equal(t, c.unknown, f.Unknown)
			require.NotEmpty(t, f.Do)
			require.Empty(t, f.Order.ID)
		})
	}
	outside := told(paid)
	outside[0].Outside = true
	f := domain.Fold(outside, nil, policy)
	require.Empty(t, f.Unknown, "it waits for its order")
	require.Equal(t, []int{0}, f.Refused)
}

func TestFoldContinuesTheRowWhenTheTopicsNoLongerReachBack(t *testing.T) {
	t.Parallel()
	row := domain.Fold(told(fromHTTP, asked), nil, policy).Order
	f := domain.Fold(told(paid, isPaid), &row, policy)
	require.Empty(t, f.Unknown)
	o, relation := f.Continue(row)
	require.Equal(t, domain.Behind, relation)
	require.Equal(t, domain.Confirmed, o.Status)
	require.Len(t, o.Changes, 1)
	require.EqualValues(t, 3, o.Version)

	f = domain.Fold(told(mailed("confirmed")), &o, policy)
	require.Empty(t, f.Unknown)
	_, relation = f.Continue(o)
	require.Equal(t, domain.Equal, relation)

	f = domain.Fold(told(isPaid, isRejected), &o, policy)
	require.NotEmpty(t, f.Unknown, "the row says confirmed, the topics rejected")
}

// Topics need not forget at the same time: the row has the step that they lost.
func TestARowKeepsStepsThatTheTopicsLost(t *testing.T) {
	t.Parallel()
	end := cancelledBy("payment_refunded", "p")
	row := domain.Fold(told(fromHTTP, asked, paid, isPaid, back("cancelled_by_user"), goneBack, end), nil, policy).Order
	for _, list := range [][]messages.Message{told(fromHTTP, asked, paid, isPaid, end), told(fromHTTP, paid, isPaid, back("cancelled_by_user"), end)} {
		f := domain.Fold(list, &row, policy)
		require.Empty(t, f.Unknown)
		_, relation := f.Continue(row)
		require.Equal(t, domain.Equal, relation)
	}
}

func TestARowThatContradictsTheTopicsIsReplaced(t *testing.T) {
	t.Parallel()
	confirmed := domain.Fold(told(fromHTTP, asked, paid, isPaid), nil, policy).Order
	for name, list := range map[string][]messages.Message{
		"rejected":          told(fromHTTP, isRejected),
		"cancelled at once": told(fromHTTP, cancelledBy("http", "")),
		"another payment": told(fromHTTP, asked, messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: usd(500), PaymentID: "q"},
			messages.OrderConfirmed{OrderID: "o", UserID: "u", Total: usd(500), Items: twoPriced, PaymentID: "q", Step: "payment_captured"}),
	} {
		f := domain.Fold(list, &confirmed, policy)
		o, relation := f.Continue(confirmed)
		require.Equal(t, domain.Contradicts, relation, name)
		require.True(t, o.IsNew(), name)
	}
}

// A row that is ahead of what was published stays: its customer has seen it. An answer of payments that it did not read yet has
// no say before that.
func TestARowThatIsAheadOfTheTopicsStaysAgainstAnAnswer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]messages.Event{"paid": paid, "declined": declined} {
		list := told(fromHTTP, asked, answer)
		row := domain.Fold(list[:2], nil, policy).Order
		due := row
		f := domain.Fold(list, &row, policy)
		o, relation := f.Continue(row)
		require.Equal(t, domain.Behind, relation, name)
		require.Len(t, o.Changes, 1)
		require.EqualValues(t, 3, o.Version)

		_, err := due.Cancel(policy, list[2].Time)
		require.NoError(t, err)
		f = domain.Fold(list, &due, policy)
		_, relation = f.Continue(due)
		require.Equal(t, domain.Ahead, relation, name)
		require.NotEmpty(t, f.Again)

		f = domain.Fold(list, &f.Order, policy)
		_, relation = f.Continue(f.Order)
		require.Equal(t, domain.Ahead, relation, "%s: the outcome is still to be published", name)
		require.NotEmpty(t, f.Again)
	}
}

// The address of a rejected order is in order_rejected of earlier versions, and since then in its notification alone.
func TestFoldOfARejectedOrderFindsItsAddress(t *testing.T) {
	t.Parallel()
	earlier, email := isRejected, mailed("rejected")
	earlier.Email, email.To = "ada@example.com", "ada@example.com"
	withEmail := fromShop
	withEmail.Email = "ada@example.com"
	for name, m := range map[string][]messages.Message{
		"of an earlier version":            told(earlier, email),
		"placed, and of an earlier one":    append(by("shop:", told(withEmail)), told(earlier)...),
		"placed, and rejected":             append(by("shop:", told(withEmail)), told(isRejected)...),
		"placed, rejected and notified":    append(by("shop:", told(withEmail)), told(isRejected, email)...),
		"its order_placed is gone":         told(isRejected, email),
		"of another address, and notified": append(by("shop:", told(fromShop, withEmail)), told(isRejected, email)...),
	} {
		for i := range m {
			m[i].OrderTime = m[i].Time
		}
		f := domain.Fold(m, nil, domain.Policy{})
		require.Equal(t, domain.Rejected, f.Order.Status, name)
		require.Equal(t, "ada@example.com", f.Order.Email, name)
	}
}
