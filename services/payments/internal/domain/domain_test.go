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
		require.Equal(t, domain.Payment{OrderID: "o1", UserID: "u1", Amount: usd(4999), Method: messages.DefaultPaymentMethod,
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

func TestFraudLimits(t *testing.T) {
	t.Parallel()
	in := func(currency string, minor int64) messages.Money {
		return messages.Money{Minor: minor, Currency: currency}
	}
	tests := []struct {
		limits   string
		amount   messages.Money
		suspects bool
	}{
		{"900.00", usd(90000), false},
		{"900.00", usd(90001), true},
		{"USD=900", usd(90000), false},
		{"usd=900", usd(90001), true},
		{"USD=900.01", usd(90001), false},
		{"USD=900,JPY=130000", in("JPY", 130_000), false},
		{"USD=900, JPY=130000", in("JPY", 130_001), true},
		{"KWD=270.5", in("KWD", 270_500), false},
		{"KWD=270.5", in("KWD", 270_501), true},
		// Ten dollars in the currencies where 900 is next to nothing, and everything where no limit is stated.
		{"900", in("JPY", 1500), false},
		{"900", in("KRW", 15_000), false},
		{"900", in("HUF", 5000_00), false},
		{"900", in("VND", 250_000), false},
		{"900", in("IDR", 160_000_00), false},
		{"900", in("EUR", messages.MaxMinor), false},
		{"900", in("???", 1), true},
	}
	for _, tt := range tests {
		limits, err := domain.ParseFraudLimits(tt.limits)
		require.NoError(t, err)
		require.Equal(t, tt.suspects, limits.Suspects(tt.amount), "%d %s with %s", tt.amount.Minor, tt.amount.Currency, tt.limits)
	}
	for _, bad := range []string{"", "much", "0", "0.0000", "-1", "1.234", "1e99", "NaN", "900,00", "USD", "USD=", "=900", "XXX=1", "USD=1,usd=2",
		"USD=900,", "JPY=1.5", "USD=900;EUR=900", "USD=-1"} {
		_, err := domain.ParseFraudLimits(bad)
		require.Error(t, err, "%q", bad)
	}
}
