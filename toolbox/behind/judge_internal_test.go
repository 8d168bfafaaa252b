package behind

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Each row of an order has what led it there, is behind what may follow, and contradicts the rest.
func TestOrdersHaveLackOrContradictADecision(t *testing.T) {
	t.Parallel()
	decisions := []decision{orderAwaiting, orderRejected, orderConfirmed, orderCancelling, orderCancelled, orderFailed}
	for o, want := range map[order]string{ // in the order of the decisions: h has, b behind, c contradicts
		{}:                           "bbbbbb",
		{status: "pending"}:          "bbbbbb",
		{status: "awaiting_payment"}: "hcbbbb",
		{status: "rejected"}:         "chcccc",
		{status: "confirmed"}:        "hchbbb",
		{status: "cancelling"}:       "hchhbb",
		{status: "cancelled"}:        "hchhhc",
		{status: "failed"}:           "hchhch",
		{status: "failed", decidedBy: "payment_failed"}: "hcccch",
		{status: "cancelled", decidedBy: "http"}:        "cccchc",
	} {
		got := ""
		for _, d := range decisions {
			got += string("hbc"[o.judge(d)])
		}
		require.Equal(t, want, got, "%+v", o)
	}
	late := orderLate + "cancelled"
	require.Equal(t, isBehind, order{}.judge(late))
	require.Equal(t, isBehind, order{status: "cancelled"}.judge(late))
	require.Equal(t, has, order{status: "cancelled", late: true}.judge(late))
	require.Equal(t, contradicts, order{status: "failed", late: true}.judge(late))
}

func TestPaymentsHaveLackOrContradictADecision(t *testing.T) {
	t.Parallel()
	claims := []claim{{what: paymentCaptured, paid: "p"}, {what: paymentFailed}, {what: paymentRefunded, paid: "p"}, {what: paymentVoided}, {what: paymentTaken}}
	for p, want := range map[payment]string{
		{}:                                   "bbbbb",
		{status: "captured", paymentID: "p"}: "hcbch",
		{status: "captured", paymentID: "q"}: "cccch",
		{status: "refunded", paymentID: "p"}: "hchch",
		{status: "failed"}:                   "chchh",
		{status: "voided"}:                   "ccchh",
		{status: "captured", paymentID: "q", outside: true}: "ccchh",
	} {
		got := ""
		for _, c := range claims {
			got += string("hbc"[p.judge(c)])
		}
		require.Equal(t, want, got, "%+v", p)
	}
}

func TestEmailsHaveOrLackADecision(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{"": "bbb", "pending": "hbh", "sent": "hhh", "failed": "hbh"} {
		got := ""
		for _, d := range []decision{emailTaken, emailSent, emailFailed} {
			got += string("hbc"[emailOf(status, d)])
		}
		require.Equal(t, want, got, status)
	}
}
