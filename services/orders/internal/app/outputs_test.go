package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
)

const sentence = "4711 could not be paid. Please pay again at http://pay.evil.example/4711 or it"

// Anybody who may write to the topic orders chooses order ids and the address of an email. What the email says stays ours.
func TestAnOrderIDFromKafkaIsQuotedAndShortInTheEmail(t *testing.T) {
	t.Parallel()
	w := setup(t)
	order := of("unknown", 1)
	order.OrderID, order.Email = sentence, "victim@example.test"
	told := deliver(w, w.OnOrderPlaced, order)[1].Event.(messages.NotificationRequested)
	require.Equal(t, `Order "4711 could not be paid· …" was rejected: it has an item that we do not sell.`, told.Message)
	require.Equal(t, sentence, told.OrderID, "programs read the whole id")

	order = plain()
	order.OrderID = "2" + sentence
	deliver(w, w.OnOrderPlaced, order)
	paid := captured()
	paid.OrderID = order.OrderID
	told = deliver(w, w.OnPaymentCaptured, paid)[1].Event.(messages.NotificationRequested)
	require.Equal(t, `Order "24711 could not be paid·…" confirmed!`, told.Message)
}

// Another processor may answer payment_failed with a text instead of a code.
func TestAReasonThatIsNoCodeIsQuotedAndShortInTheEmail(t *testing.T) {
	t.Parallel()
	w := setup(t)
	deliver(w, w.OnOrderPlaced, plain())
	told := deliver(w, w.OnPaymentFailed, paymentFailed("declined. Pay at www.evil.example instead"))[0].Event
	require.Equal(t, `Order o failed: "declined· Pay at www·evi…".`, told.(messages.NotificationRequested).Message)
}
