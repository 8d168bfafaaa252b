package rebuild

import (
	"fmt"
	"maps"
	"slices"

	"pasdetrois/pkg/messages"
)

// order is an order as its customer sees it.
type order struct {
	ID        string `db:"order_id"`
	Status    string
	Reason    string
	PaymentID string
}

func (o order) String() string {
	if o.Reason == "" {
		return o.Status
	}
	return o.Status + " " + o.Reason
}

// charge is an entry of the provider's own books.
type charge struct {
	ID          string `db:"order_id"`
	Status      string
	ChargeCalls int
	RefundCalls int
}

// email is an email that a customer got.
type email struct {
	MessageID string `json:"message_id"`
	OrderID   string `json:"order_id"`
	Kind      string `json:"kind"`
	To        string `json:"to"`
}

// product is a product as the shop shows it.
type product struct {
	SKU, Price string
	Stocked    int64
}

// seen is all that the world was told up to a moment.
type seen struct {
	Orders   []order
	Charges  []charge
	Emails   []email
	Products []product
	// Topics has the events of each order, by order id, and Sent the message ids of emails, which are on the topics.
	Topics map[string]map[string]bool
	Sent   map[string]bool
	// Unsettled has the message ids of emails whose rows are pending in a database that is not put back.
	Unsettled map[string]bool
	Outbox    int // messages about products that had not reached Kafka
}

// verdict is what differs without an excuse, and what could not be known, by reason.
type verdict struct {
	Problems []string
	Unknown  map[string]int
}

func (v *verdict) wrong(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

// The reasons why something cannot be made again.
const (
	neverPlaced = "orders whose order_placed had not reached Kafka"
	endUnheard  = "orders whose end had not reached Kafka"
	cancelLost  = "cancellings whose refund_requested had not reached Kafka"
	sendUnheard = "emails whose notification_sent had not reached Kafka"
	// The database was not put back: it comes twice after each kill at that moment.
	sendUnsettled = "emails that were sent when the process was killed, before their rows were settled"
	outboxLost    = "products with a change that had not reached Kafka"
	chargeLost    = "charges whose answer had not reached Kafka, asked for again under their key"
	refundUnsaid  = "refunds whose answer had not reached Kafka, asked for again under their key"
)

// judge compares what the world was told before the databases were put back with what it sees when all is settled.
func judge(before, after seen) verdict {
	v := verdict{Unknown: map[string]int{}}
	v.orders(before, after)
	v.charges(before, after)
	v.emails(before, after)
	v.products(before, after)
	slices.Sort(v.Problems)
	return v
}

// ended reports whether the topics have the end of an order: its outcome, or the answer of payments that has no other outcome.
// The rest is orders that were rejected, and those that were cancelled before their payment was asked for.
func ended(o order, told map[string]bool) bool {
	asked, off := told[messages.EventPaymentRequested], told[messages.EventRefundRequested]
	switch o.Status {
	case messages.KindConfirmed:
		return told[messages.EventOrderConfirmed] || asked && told[messages.EventPaymentCaptured]
	case messages.KindCancelled:
		return told[messages.EventOrderCancelled] || off && told[messages.EventPaymentRefunded]
	case messages.KindRejected:
		return told[messages.EventOrderRejected]
	default:
		return told[messages.EventOrderFailed] || told[messages.EventPaymentFailed] || off && told[messages.EventPaymentRefunded]
	}
}

func (v *verdict) orders(before, after seen) {
	now := map[string]order{}
	for _, o := range after.Orders {
		now[o.ID] = o
	}
	was := map[string]bool{}
	for _, o := range before.Orders {
		was[o.ID] = true
		v.order(o, now[o.ID], before.Topics[o.ID])
	}
	for _, o := range after.Orders {
		if !was[o.ID] && !before.Topics[o.ID][messages.EventOrderPlaced] {
			v.wrong("order %s was placed by nobody", o.ID)
		}
	}
}

func (v *verdict) order(was, is order, told map[string]bool) {
	ended := ended(was, told)
	switch {
	case is.ID == "" && told[messages.EventOrderPlaced]:
		v.wrong("order %s was %s, and is gone", was.ID, was)
	case is.ID == "":
		v.Unknown[neverPlaced]++
	case !messages.Settled(is.Status):
		v.wrong("order %s is %s, and has no end", is.ID, is)
	case was.Status == "cancelling" && is.Status != messages.KindCancelled && is.Status != messages.KindFailed:
		if told[messages.EventRefundRequested] {
			v.wrong("order %s was being called off, and is %s", is.ID, is)
		} else {
			v.Unknown[cancelLost]++
		}
	case !messages.Settled(was.Status) || was == is:
	case was.Status == is.Status && was.Reason == is.Reason && was.PaymentID != is.PaymentID && ended:
		v.wrong("order %s is %s with payment %q, and had %q", is.ID, is, is.PaymentID, was.PaymentID)
	case ended:
		v.wrong("order %s was %s, and is %s", is.ID, was, is)
	case was.Status != is.Status || was.Reason != is.Reason:
		v.Unknown[endUnheard]++
	}
}

func (v *verdict) charges(before, after seen) {
	now := map[string]charge{}
	for _, c := range after.Charges {
		if _, twice := now[c.ID]; twice {
			v.wrong("order %s was charged under two keys", c.ID)
		}
		now[c.ID] = c
	}
	for _, was := range before.Charges {
		is, told := now[was.ID], before.Topics[was.ID]
		if is.ChargeCalls != was.ChargeCalls && was.Status != "erring" {
			if told[messages.EventPaymentCaptured] || told[messages.EventPaymentFailed] {
				v.wrong("order %s was charged again: asked %d times, then %d", was.ID, was.ChargeCalls, is.ChargeCalls)
			} else {
				v.Unknown[chargeLost]++
			}
		}
		if was.RefundCalls > 0 && is.RefundCalls != was.RefundCalls {
			if told[messages.EventPaymentRefunded] {
				v.wrong("order %s was refunded again: asked %d times, then %d", was.ID, was.RefundCalls, is.RefundCalls)
			} else {
				v.Unknown[refundUnsaid]++
			}
		}
	}
}

// emails: each one came once, and no customer was told two ends of one order, but for a confirmed one that was cancelled.
func (v *verdict) emails(before, after seen) {
	first := count(before.Emails)
	for id, times := range count(after.Emails) {
		switch {
		case times == max(first[id], 1):
		case first[id] == 1 && times == 2 && before.Unsettled[id]:
			v.Unknown[sendUnsettled]++
		case before.Sent[id] || first[id] == 0:
			v.wrong("the email %s was sent %d times, %d of them before", id, times, first[id])
		default:
			v.Unknown[sendUnheard]++
		}
	}
	told := map[string]map[string]bool{}
	for _, e := range after.Emails {
		if e.OrderID != "" && e.Kind != messages.KindFraudAlert {
			if told[e.OrderID] == nil {
				told[e.OrderID] = map[string]bool{}
			}
			told[e.OrderID][e.Kind] = true
		}
	}
	for id, kinds := range told {
		delete(kinds, "")
		if len(kinds) > 1 && !(len(kinds) == 2 && kinds[messages.KindConfirmed] && kinds[messages.KindCancelled]) {
			v.wrong("the customer of order %s was told %q", id, slices.Sorted(maps.Keys(kinds)))
		}
	}
}

func count(emails []email) map[string]int {
	times := map[string]int{}
	for _, e := range emails {
		times[e.MessageID]++
	}
	return times
}

func (v *verdict) products(before, after seen) {
	now := map[string]product{}
	for _, p := range after.Products {
		now[p.SKU] = p
	}
	for _, was := range before.Products {
		switch is := now[was.SKU]; {
		case was == is:
		case before.Outbox > 0:
			v.Unknown[outboxLost]++
		default:
			v.wrong("of %s there were %d for %s, and are %d for %s", was.SKU, was.Stocked, was.Price, is.Stocked, is.Price)
		}
	}
}
