package app_test

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/domain"
)

// killedBeforePublishing folds the messages as they are when the service is killed between the commit of an outcome and Kafka, which
// has none or some of the outputs. HTTP has shown the order, so the fold must say the same, and the repetition publishes the rest.
func (w *walk) killedBeforePublishing(m messages.Message, outputs []messages.Message) {
	o := *w.order
	for n := range outputs {
		story := w.story(append(slices.Clone(w.told), outputs[:n]...))
		f := domain.Fold(story, nil, w.policy)
		if f.Unknown == "the price of each line is in no topic" && o.Reason == domain.ReasonOutOfStock {
			return
		}
		require.Empty(w.t, f.Unknown)
		if n > 0 { // the outcome is there, and the audit names an order without its email
			w.equal(o, f.Order, o.Changes, f.Order.Changes)
			require.Empty(w.t, f.Open)
			continue
		}
		require.Len(w.t, f.Again, 1)
		require.Equal(w.t, m.ID, story[f.Again[0]].ID, "it is read again")
		again := f.Order
		published, err := w.apply(&again, m)
		require.NoError(w.t, err)
		require.Len(w.t, published, len(outputs))
		for i := range published {
			published[i].Time = outputs[i].Time // the fold has the time of the answer, not of its reading
		}
		require.Equal(w.t, outputs, published)
		require.Equal(w.t, f.Order, again, "a repetition changes nothing")
		last := &f.Order.Changes[len(f.Order.Changes)-1]
		last.At = o.UpdatedAt
		f.Order.StatusAt = o.StatusAt
		w.equal(o, f.Order, o.Changes, f.Order.Changes)
		w.cut[cmp.Or(map[bool]string{true: messages.EventRefundRequested}[o.LatePayment], m.Event.EventName())]++
	}
}

// readRest lets the order and its fold read what is unread. Both must end at the same place.
func (w *walk) readRest() {
	story := storyOf(w.told)
	f := domain.Fold(story, nil, w.policy)
	require.Empty(w.t, f.Unknown)
	if w.order.Status == domain.Pending {
		return // its step comes first
	}
	read := func(o domain.Order, list []messages.Message) string {
		for _, m := range list {
			if _, err := w.apply(&o, m); err != nil {
				require.ErrorIs(w.t, err, domain.ErrContradiction)
			}
		}
		return fmt.Sprint(o.Status, o.Reason, o.PaymentID, o.Holds, o.LatePayment)
	}
	var again []messages.Message
	for _, i := range f.Again {
		again = append(again, story[i])
	}
	require.Equal(w.t, read(*w.order, w.inbox), read(f.Order, again), "%+v", w.told)
}
