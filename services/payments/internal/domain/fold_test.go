package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/services/payments/internal/domain"
)

// asked is a message of orders about the payment of o1.
func asked(offset int64, e messages.Event) domain.Told {
	return domain.Told{Message: messages.Message{Event: e, Source: messages.ServiceOrders, Time: t0}, Topic: e.Topic(), Offset: offset}
}

// answered is a message of payments about it.
func answered(step string, at time.Time, e messages.Event) domain.Told {
	return domain.Told{Message: messages.Message{ID: messages.ID(e.Key(), e.EventName(), step), Event: e, Source: messages.ServicePayments, Time: at},
		Topic: e.Topic()}
}

func outside(t domain.Told) domain.Told {
	if t.Source == messages.ServicePayments {
		t.Outside = true
	} else {
		t.Source = ""
	}
	return t
}

var (
	wants    = asked(1, messages.PaymentRequested{OrderID: "o1", UserID: "u1", Amount: usd(4999)})
	wantsOff = asked(2, messages.RefundRequested{OrderID: "o1", UserID: "u1", Amount: usd(4999), Reason: "cancelled"})
	captures = answered(domain.StepCapture, t0, messages.PaymentCaptured{OrderID: "o1", UserID: "u1", Amount: usd(4999), PaymentID: "pay_1"})
	fails    = answered(domain.StepFail, t0, messages.PaymentFailed{OrderID: "o1", UserID: "u1", Total: usd(4999), Reason: "card_declined"})
	refunds  = answered(domain.StepRefund, t1, messages.PaymentRefunded{OrderID: "o1", UserID: "u1", Amount: usd(4999), PaymentID: "pay_1"})
	voids    = answered(domain.StepVoid, t0, messages.PaymentRefunded{OrderID: "o1", UserID: "u1", Amount: usd(0)})

	captured = request().Settle(domain.Answer{PaymentID: "pay_1"}, t0)
	failed   = request().Settle(domain.Answer{Declined: "card_declined"}, t0)
	refunded = func() domain.Payment { p, _ := captured.Refund("cancelled", t1); return p }()
	voided   = domain.Refund{OrderID: "o1", UserID: "u1", Amount: usd(4999), Reason: "cancelled"}.Tombstone(t0)
	none     domain.Payment
)

func fromOutside(p domain.Payment) domain.Payment { p.Outside = true; return p }

func TestFold(t *testing.T) {
	t.Parallel()
	other := func(told domain.Told) domain.Told { // the same about an order over another amount
		switch e := told.Event.(type) {
		case messages.PaymentRequested:
			e.Amount = usd(5000)
			told.Event = e
		case messages.RefundRequested:
			e.Amount = usd(5000)
			told.Event = e
		}
		return told
	}
	behind := func(told domain.Told, offset int64) domain.Told { told.Offset = offset; return told }
	refused := answered(domain.StepTaken, t1, messages.PaymentFailed{OrderID: "o1", UserID: "u1", Total: usd(5000), Reason: domain.ReasonOrderIDTaken})
	unpaid := answered(domain.StepTaken, t1, messages.PaymentRefunded{OrderID: "o1", UserID: "u1", Amount: usd(0)})
	forged := captures
	forged.Source = ""
	again := func(p domain.Payment) domain.Payment { p.PaymentID = "pay_2"; return p }

	tests := map[string]struct {
		row       domain.Payment
		told      []domain.Told
		want      domain.Payment
		undecided string
	}{
		"nothing":                            {none, nil, none, ""},
		"a request alone is undecided":       {none, []domain.Told{wants}, none, "payment_requested has no outcome"},
		"a refund request alone is":          {none, []domain.Told{wantsOff}, none, "refund_requested has no outcome"},
		"captured":                           {none, []domain.Told{wants, captures}, captured, ""},
		"captured, over the same row":        {captured, []domain.Told{wants, captures}, captured, ""},
		"declined":                           {none, []domain.Told{wants, fails}, failed, ""},
		"refunded":                           {none, []domain.Told{wants, captures, wantsOff, refunds}, refunded, ""},
		"refunded, over an older row":        {captured, []domain.Told{wants, captures, wantsOff, refunds}, refunded, ""},
		"a refund that was asked for":        {none, []domain.Told{wants, captures, wantsOff}, captured, "refund_requested has no outcome"},
		"a tombstone":                        {none, []domain.Told{wantsOff, voids, wants}, voided, ""},
		"a refund of a declined payment":     {none, []domain.Told{wants, fails, wantsOff, voids}, failed, ""},
		"which is not answered":              {none, []domain.Told{wants, fails, wantsOff}, failed, "payment_refunded is not published"},
		"a row that is further stays":        {refunded, []domain.Told{wants, captures, wantsOff}, refunded, "payment_refunded is not published"},
		"and so does one without an outcome": {captured, []domain.Told{wants}, captured, "payment_captured is not published"},
		"a declined one, too":                {failed, []domain.Told{wants}, failed, "payment_failed is not published"},
		"a payment made anew gives way":      {again(captured), []domain.Told{wants, captures}, captured, ""},
		"even when it was refunded":          {again(refunded), []domain.Told{wants, captures}, captured, ""},
		"a decision made anew gives way":     {voided, []domain.Told{wants, captures}, captured, ""},
		"a contradiction needs no answer":    {none, []domain.Told{wants, captures, other(wants), other(wantsOff)}, captured, ""},
		"others' messages decide nothing":    {none, []domain.Told{wants, forged}, none, "payment_requested has no outcome"},
		"asked for from outside":             {none, []domain.Told{outside(wants), outside(captures)}, fromOutside(captured), ""},
		"an order whose id is taken": {none, []domain.Told{outside(wants), outside(captures), other(wants), refused, other(wantsOff), unpaid},
			fromOutside(captured), ""},
		"which is not told": {none, []domain.Told{outside(wants), outside(captures), other(wants), other(wantsOff)}, fromOutside(captured),
			"payment_requested of an order whose id is taken has no answer; refund_requested of an order whose id is taken has no answer"},
		"an order placed after the refund": {none, []domain.Told{outside(wants), outside(captures), wantsOff, refunds, behind(wants, 3)},
			func() domain.Payment { p := refunded; p.Outside = true; return p }(), "payment_requested of an order whose id is taken has no answer"},
		"an order that its payment served": {none, []domain.Told{outside(behind(wants, 0)), outside(captures), wants, wantsOff, refunds},
			func() domain.Payment { p := refunded; p.Outside = true; return p }(), ""},
	}
	for name, tt := range tests {
		got := domain.Fold(tt.row, tt.told)
		require.Equal(t, tt.want, got.Payment, name)
		require.Equal(t, tt.undecided, got.Undecided, name)
		require.Empty(t, got.Unknown, name)
		again := domain.Fold(got.Payment, tt.told)
		require.Equal(t, got, again, "%s: a second time", name)
	}
}

// Producers choose the times of their messages. The service read them in the order of their offsets.
func TestFoldGoesByThePlaceOfRequests(t *testing.T) {
	t.Parallel()
	late, early := wants, asked(5, messages.PaymentRequested{OrderID: "o1", UserID: "u1", Amount: usd(4999), PaymentMethod: "pm_other"})
	late.Time, early.Time = t1, t0
	want := captured
	require.Equal(t, want, domain.Fold(none, []domain.Told{early, captures, late}).Payment)
}

// Retention has removed records. What is left is made again, and what is missing is named.
func TestFoldOfTopicsThatAreCut(t *testing.T) {
	t.Parallel()
	methodless := captured
	methodless.Method = ""
	reasonless := refunded
	reasonless.Reason = domain.ReasonUnknown
	timeless := refunded
	timeless.CreatedAt = t1
	both := timeless
	both.Method, both.Reason = "", domain.ReasonUnknown
	unexplained := voided
	unexplained.Reason = domain.ReasonUnknown
	tests := map[string]struct {
		row     domain.Payment
		told    []domain.Told
		want    domain.Payment
		unknown int
	}{
		"no payment_requested":            {none, []domain.Told{captures}, methodless, 1},
		"which the row has":               {captured, []domain.Told{captures}, captured, 0},
		"no refund_requested":             {none, []domain.Told{wants, captures, refunds}, reasonless, 1},
		"no payment_captured":             {none, []domain.Told{wants, wantsOff, refunds}, timeless, 1},
		"which the older row has":         {captured, []domain.Told{wantsOff, refunds}, refunded, 0},
		"only payment_refunded":           {none, []domain.Told{refunds}, both, 3},
		"a tombstone without its request": {none, []domain.Told{voids, wants}, unexplained, 1},
		"which the row of it has":         {voided, []domain.Told{voids}, voided, 0},
		"a tombstone without any amount":  {none, []domain.Told{voids}, none, 1},
	}
	for name, tt := range tests {
		got := domain.Fold(tt.row, tt.told)
		require.Equal(t, tt.want, got.Payment, name)
		require.Len(t, got.Unknown, tt.unknown, name)
		require.Empty(t, got.Undecided, name)
		for _, gap := range got.Unknown {
			require.NotEmpty(t, gap.Why, name)
			nothing := rebuild.Finding{Do: gap.Do}.NothingToDo()
			require.Equal(t, name != "a tombstone without any amount", nothing, "%s: %s", name, gap.Do)
		}
		require.Equal(t, got, domain.Fold(got.Payment, tt.told), "%s: a second time", name)
	}
}
