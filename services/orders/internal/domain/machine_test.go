package domain_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/domain"
)

var policy = domain.Policy{PaymentTimeout: time.Minute, RepublishAfter: time.Second}

func usd(minor int64) messages.Money { return messages.Money{Minor: minor, Currency: "USD"} }

// machine is a few orders over a few products, with a payments service that may say anything at any time.
type machine struct {
	stock  domain.Stock
	orders map[string]*domain.Order
	paid   map[string]bool // an event payment_captured was taken
	now    time.Time
}

// Whatever comes in whatever order, how often ever: no piece is lost, none is sold that is not paid, and what the orders
// hold is what the stock says.
func TestNoInterleavingLosesAPieceOrSellsOneUnpaid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{stock: domain.Stock{}, orders: map[string]*domain.Order{}, paid: map[string]bool{}, now: time.Unix(1700000000, 0)}
		for _, sku := range []string{"a", "b"} {
			n := rapid.Int64Range(0, 5).Draw(t, "pieces of "+sku)
			m.stock[sku] = &domain.Product{SKU: sku, Price: usd(100), Available: n, Stocked: n}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			m.step(t)
			m.check(t)
		}
	})
}

func (m *machine) step(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
	id := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "order")
	o := m.orders[id]
	if o == nil {
		m.place(t, id)
		return
	}
	pay := rapid.SampledFrom([]string{"p1", "p2"}).Draw(t, "payment")
	amount := o.Total
	if rapid.IntRange(0, 9).Draw(t, "wrong amount") == 0 {
		amount.Minor++
	}
	before, version := *o, o.Version
	var effect domain.Effect
	var err error
	switch what := rapid.SampledFrom([]string{"reserve", "capture", "fail", "refund", "void", "cancel", "expire"}).Draw(t, "what"); what {
	case "reserve":
		if o.Status == domain.Pending {
			err = o.Reserve(m.stock, policy, m.now)
			effect = domain.Moved
		}
	case "capture":
		effect, err = o.Capture(messages.PaymentCaptured{OrderID: id, UserID: "u", Amount: amount, PaymentID: pay}, m.stock, policy, m.now)
		m.paid[id] = m.paid[id] || err == nil
	case "fail":
		effect, err = o.Fail(messages.PaymentFailed{OrderID: id, UserID: "u", Total: amount, Reason: "card_declined"}, m.stock, m.now)
	case "refund":
		effect, err = o.Refund(messages.PaymentRefunded{OrderID: id, UserID: "u", Amount: amount, PaymentID: pay}, m.stock, m.now)
	case "void":
		effect, err = o.Refund(messages.PaymentRefunded{OrderID: id, UserID: "u", Amount: usd(0)}, m.stock, m.now)
	case "cancel":
		effect, err = o.Cancel(policy, m.now)
	case "expire":
		due := o.Status == domain.AwaitingPayment && !o.DueAt.After(m.now)
		effect, err = o.Expire(policy, m.now)
		require.Equal(t, due, effect == domain.Moved)
	}
	if err != nil {
		require.True(t, errors.Is(err, domain.ErrContradiction) || errors.Is(err, domain.ErrNotCancellable), "%v", err)
		require.Equal(t, before, *o, "an error changes nothing")
	}
	moved := before.Status != o.Status
	require.Equal(t, moved, effect == domain.Moved)
	require.Equal(t, moved || o.PaymentID != before.PaymentID, o.Version > version)
}

func (m *machine) place(t *rapid.T, id string) {
	p := domain.Placement{OrderID: id, UserID: "u"}
	for _, sku := range []string{"a", "b"} {
		if n := rapid.IntRange(0, 3).Draw(t, "quantity of "+sku); n > 0 {
			p.Lines = append(p.Lines, domain.Line{SKU: sku, Quantity: n})
		}
	}
	if len(p.Lines) == 0 {
		p.Total, p.HasTotal = usd(500), true
	}
	o, err := domain.Place(p, m.stock, domain.TriggerHTTP, policy, m.now)
	require.NoError(t, err)
	require.NoError(t, o.Same(p))
	m.orders[id] = &o
}

// check has the rules of the tables' CHECKs and those that no CHECK can have.
func (m *machine) check(t *rapid.T) {
	reserved, sold := map[string]int64{}, map[string]int64{}
	for id, o := range m.orders {
		for _, l := range o.Lines {
			switch o.Holds {
			case domain.HoldsReserved:
				reserved[l.SKU] += int64(l.Quantity)
			case domain.HoldsSold:
				sold[l.SKU] += int64(l.Quantity)
			}
		}
		require.False(t, o.Holds == domain.HoldsSold && !m.paid[id], "sold without a payment")
		require.False(t, o.Status == domain.Confirmed && !m.paid[id], "confirmed without a payment")
		require.False(t, o.PaymentID != "" && !m.paid[id] && o.Status != domain.Cancelled && o.Status != domain.Failed)
		notWorkedOut := o.Status == domain.Rejected || o.Status == domain.Failed || o.Status == domain.Cancelling || o.Status == domain.Cancelled
		require.Equal(t, notWorkedOut, o.Reason != "", fmt.Sprint(o.Status, o.Reason))
		if o.Status.Settled() && o.Status != domain.Confirmed {
			require.Equal(t, domain.HoldsNone, o.Holds)
		}
		require.Equal(t, o.Version, int64(len(o.Changes)))
		require.Equal(t, !o.Status.Settled(), !o.DueAt.IsZero(), "somebody looks after every order that is open")
	}
	for sku, p := range m.stock {
		require.Equal(t, reserved[sku], p.Reserved)
		require.Equal(t, sold[sku], p.Sold)
		require.GreaterOrEqual(t, p.Available, int64(0))
		require.Equal(t, p.Stocked, p.Available+p.Reserved+p.Sold)
	}
}
