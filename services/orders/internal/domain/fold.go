package domain

import (
	"pasdetrois/pkg/messages"
)

// Folded is what the messages about one order say of it.
type Folded struct {
	// Order is the order as its messages were published, and with the outcome of an answer of payments that was not. The ID is ""
	// when no row follows from them: the service has decided nothing about the order, or Unknown says what is missing.
	Order Order
	// Open is why the service must read the messages with the indexes Again once more, "" when it need not.
	Open  string
	Again []int
	// Refused are the indexes of messages that the service does not apply to the order, without the parked ones. If one of them is
	// no held message either, the service must read it again.
	Refused []int
	// Unknown is what the messages do not say, and Do is what a person can do about it.
	Unknown, Do string
	// FromRow is set when Order continues the row, because the messages do not begin with the order's placement.
	FromRow bool

	published Order // Order without the outcome of the answer
	answered  bool  // there is such an answer
}

// Fold returns the order that the messages tell. They are in the order of a story. The row is the order as it is stored, nil when
// there is none; it helps only where the messages do not reach back to the order's placement.
//
// The messages of the orders service are its decisions, and they win over everything else. Fold repeats them with the methods of
// Order, so that stock, reasons, payments and the timeline follow from the same rules as they did at first. A message of another
// program that has the name of a decision is ignored, as the service ignores it.
//
// The order of precedence, of which the first one counts:
//
//	order_rejected                                   rejected: nothing else was decided
//	order_cancelled with step http                   cancelled from pending
//	order_cancelled, or the notification cancelled   cancelled, after refund_requested
//	order_failed, or the notification failed         failed: after refund_requested, by payment_failed, or without the id
//	refund_requested                                 cancelling
//	order_confirmed, or the notification confirmed   confirmed
//	payment_requested                                awaiting_payment
//	order_placed of the orders service               pending
//
// The notifications count for decisions of versions that published no outcomes. A refund_requested with the reason order_<status>
// is money that came after the end: it changes no status.
//
// An answer of payments comes last. It counts when no decision about it was published; see answer.
//
// Parked are the indexes of messages that are dead letters. Only a person decides about those: Fold neither applies them nor has
// them read again.
func Fold(told []messages.Message, row *Order, policy Policy, parked ...int) Folded {
	f := hear(told, parked)
	f.plan()
	c, gap := f.content(row)
	if gap != "" && row == nil {
		if !f.decided {
			return f.undecided()
		}
		return Folded{Unknown: gap, Do: "place the order again, or restore a backup that has it; compare with the payment provider"}
	}
	var folded Folded
	if gap == "" {
		folded = f.fold(c, policy)
	}
	if row != nil && (gap != "" || folded.Unknown != "" || f.incomplete()) {
		folded = f.continued(*row, policy)
	}
	if folded.Unknown == "" && c.unpriced && !folded.FromRow && folded.Order.Status != Rejected {
		folded.Unknown, folded.Do = "the price of each line is in no topic", "nothing: the order's total is known"
	}
	if folded.Order.ID != "" {
		folded.answer(f, policy)
		folded.judge(f, policy)
	}
	return folded
}

// fold repeats the decisions from the beginning.
func (f *facts) fold(c content, policy Policy) Folded {
	o, err := c.place(policy)
	if err == nil {
		err = f.lead(&o, policy)
	}
	if err != nil {
		return contradiction(err)
	}
	if wanted := f.status(); o.Status != wanted {
		return lost(wanted)
	}
	return Folded{Order: o}
}

// continued repeats the decisions that the row does not have. A row that is further than the messages stays.
func (f *facts) continued(row Order, policy Policy) Folded {
	o := row
	o.Changes = nil
	if err := f.lead(&o, policy); err != nil {
		return contradiction(err)
	}
	if wanted := f.status(); wanted != "" && !wanted.leadsTo(o.Status) {
		return lost(wanted)
	}
	return Folded{Order: o, FromRow: true}
}

func lost(wanted Status) Folded {
	return Folded{Unknown: "the topics say that the order is " + string(wanted) + ", and no longer how it came to that",
		Do: "compare `pas order history` with the payment provider, and put the order right by hand"}
}

func contradiction(err error) Folded {
	return Folded{Unknown: "its messages contradict each other: " + err.Error(),
		Do: "compare `pas order history` with the payment provider, and put the order right by hand"}
}

// undecided is an order of which the service has published nothing.
func (f *facts) undecided() Folded {
	if placed := f.notParked(f.placed); len(placed) > 0 {
		return Folded{Open: noOutcome(messages.EventOrderPlaced), Again: placed}
	}
	folded := Folded{}
	for _, list := range [][]int{f.captures, f.failures, f.refunds} {
		for _, i := range list {
			if !f.isParked(i) {
				folded.Refused = append(folded.Refused, i)
			}
			if m := f.told[i]; !m.Outside && m.Source == messages.ServicePayments && len(f.placed) == 0 {
				folded.Unknown = "payments answers a request of orders, and the order is in no topic"
				folded.Do = "ask the payment provider whether money was taken, and give it back"
			}
		}
	}
	return folded
}

// plenty is a stock that has enough of everything: what is repeated was decided with the stock of its time.
func plenty(lines []Line) Stock {
	if len(lines) == 0 {
		return nil
	}
	stock := make(Stock, len(lines))
	products := make([]Product, len(lines))
	for i, l := range lines {
		products[i] = Product{SKU: l.SKU, Available: int64(l.Quantity)}
		stock[l.SKU] = &products[i]
	}
	return stock
}
