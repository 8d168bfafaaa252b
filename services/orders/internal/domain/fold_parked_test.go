package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/domain"
)

// A dead letter is given up, or a person decides about it. So it neither changes an order nor is read again.
func TestFoldLeavesDeadLettersAside(t *testing.T) {
	t.Parallel()
	shop := by("shop:", told(fromShop))
	other := declined
	other.Total = usd(7)
	for name, c := range map[string]struct {
		told   []messages.Message
		parked []int
		is     domain.Status // "" = no row
		again  []int
	}{
		"order_placed":                          {told: shop, parked: []int{0}},
		"one of two order_placed":               {told: append(shop, shop...), parked: []int{0}, again: []int{1}},
		"order_placed of a pending order":       {told: told(fromHTTP), parked: []int{0}, is: domain.Pending},
		"an answer to a parked order_placed":    {told: append(shop, told(paid)...), parked: []int{0, 1}},
		"payment_captured":                      {told: told(fromHTTP, asked, paid), parked: []int{2}, is: domain.AwaitingPayment},
		"payment_failed":                        {told: told(fromHTTP, asked, declined), parked: []int{2}, is: domain.AwaitingPayment},
		"payment_captured before another":       {told: told(fromHTTP, asked, paid, paid), parked: []int{2}, is: domain.Confirmed, again: []int{3}},
		"payment_captured of a cancelled order": {told: told(fromHTTP, asked, back("cancelled_by_user"), paid), parked: []int{3}, is: domain.Cancelling},
		"payment_refunded of a confirmed order": {told: told(fromHTTP, asked, paid, isPaid, goneBack), parked: []int{4}, is: domain.Confirmed},
		"payment_captured after the end":        {told: told(fromHTTP, isRejected, paid), parked: []int{2}, is: domain.Rejected},
		"payment_captured of a pending order":   {told: told(fromHTTP, paid), parked: []int{1}, is: domain.Pending, again: []int{0}},
	} {
		f := domain.Fold(c.told, nil, policy, c.parked...)
		require.Equal(t, c.is, f.Order.Status, name)
		require.Equal(t, c.again, f.Again, name)
		require.Equal(t, len(c.again) > 0, f.Open != "", name)
		require.Empty(t, f.Refused, name)
		require.Empty(t, f.Unknown, name)
		if c.is != domain.Confirmed {
			require.Empty(t, f.Order.PaymentID, name)
		}
	}
}
