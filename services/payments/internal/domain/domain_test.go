package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/payments/internal/domain"
)

var (
	t0 = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	t1 = t0.Add(time.Minute)
)

func usd(minor int64) messages.Money { return messages.Money{Minor: minor, Currency: "USD"} }

func request() domain.Request {
	return domain.Request{OrderID: "o1", UserID: "u1", Amount: usd(4999)}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	t.Run("captures what the provider took", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, domain.Payment{OrderID: "o1", UserID: "u1", Amount: usd(4999), Method: domain.DefaultMethod,
			Status: domain.Captured, PaymentID: "pay_1", CreatedAt: t0, UpdatedAt: t0},
			request().Settle(domain.Answer{PaymentID: "pay_1"}, t0))
	})
	t.Run("fails with the provider's reason", func(t *testing.T) {
		t.Parallel()
		r := request()
		r.Method = "pm_card_chargeDeclined"
		require.Equal(t, domain.Payment{OrderID: "o1", UserID: "u1", Amount: usd(4999), Method: "pm_card_chargeDeclined",
			Status: domain.Failed, Reason: "card_declined", CreatedAt: t0, UpdatedAt: t0},
			r.Settle(domain.Answer{Declined: "card_declined"}, t0))
	})
	t.Run("suspicion fails without a charge", func(t *testing.T) {
		t.Parallel()
		p := request().Suspect(t0)
		require.Equal(t, domain.Failed, p.Status)
		require.Equal(t, domain.ReasonSuspectedFraud, p.Reason)
		require.Empty(t, p.PaymentID)
	})
}

func TestRefund(t *testing.T) {
	t.Parallel()
	captured := request().Settle(domain.Answer{PaymentID: "pay_1"}, t0)

	refunded, err := captured.Refund("cancelled", t1)
	require.NoError(t, err)
	want := captured
	want.Status, want.Reason, want.UpdatedAt = domain.Refunded, "cancelled", t1
	require.Equal(t, want, refunded)

	for _, p := range []domain.Payment{
		refunded,
		request().Suspect(t0),
		domain.Refund{OrderID: "o1", UserID: "u1", Amount: usd(4999), Reason: "cancelled"}.Tombstone(t0),
	} {
		_, err := p.Refund("cancelled", t1)
		require.ErrorIs(t, err, domain.ErrNotCaptured, "from %s", p.Status)
	}
}

func TestAgrees(t *testing.T) {
	t.Parallel()
	p := request().Settle(domain.Answer{PaymentID: "pay_1"}, t0)
	require.NoError(t, p.Agrees("u1", usd(4999)))
	require.ErrorIs(t, p.Agrees("u2", usd(4999)), domain.ErrContradiction)
	require.ErrorIs(t, p.Agrees("u1", usd(5000)), domain.ErrContradiction)
	require.ErrorIs(t, p.Agrees("u1", messages.Money{Minor: 4999, Currency: "EUR"}), domain.ErrContradiction)
}

func TestKeepsNoMoney(t *testing.T) {
	t.Parallel()
	want := map[domain.Status]bool{domain.Captured: false, domain.Refunded: false, domain.Failed: true, domain.Voided: true}
	require.Len(t, want, len(domain.Statuses()))
	for _, s := range domain.Statuses() {
		require.Equal(t, want[s], domain.Payment{Status: s}.KeepsNoMoney(), "%s", s)
	}
}

func TestFraudLimit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		limit    string
		amount   messages.Money
		suspects bool
	}{
		{"900.00", usd(90000), false},
		{"900.00", usd(90001), true},
		{"900", usd(90000), false},
		{"0.005", usd(1), true},
		{"900.005", usd(90000), false},
		{"900.005", usd(90001), true},
		{"900.00", messages.Money{Minor: 900, Currency: "JPY"}, false},
		{"900.00", messages.Money{Minor: 901, Currency: "JPY"}, true},
		{"900.00", messages.Money{Minor: 900_000, Currency: "KWD"}, false},
		{"900.00", messages.Money{Minor: 900_001, Currency: "KWD"}, true},
		{"900.00", messages.Money{Minor: messages.MaxMinor, Currency: "JPY"}, true},
		{"900.00", messages.Money{Minor: 1, Currency: "???"}, true},
	}
	for _, tt := range tests {
		limit, err := domain.ParseFraudLimit(tt.limit)
		require.NoError(t, err)
		require.Equal(t, tt.suspects, limit.Suspects(tt.amount), "%d %s with limit %s", tt.amount.Minor, tt.amount.Currency, tt.limit)
	}
	for _, bad := range []string{"", "much", "0", "0.0000", "-1", "1.23456", "1e99", "NaN", "900,00"} {
		_, err := domain.ParseFraudLimit(bad)
		require.Error(t, err, "%q", bad)
	}
}
