package domain

import "slices"

// Relation is how a row stands to the order that the topics tell.
type Relation int

const (
	// Equal: the row says what the topics say.
	Equal Relation = iota
	// Ahead: the row has all changes of the topics and more. Its messages are still to be published.
	Ahead
	// Behind: the topics have all changes of the row and more.
	Behind
	// Contradicts: the row has other changes than the topics, or another content.
	Contradicts
)

// Continue compares the row, which has its timeline in Changes, with the folded order. It returns the order to store: with the
// changes that the row lacks when the row is Behind, with all changes when it Contradicts. A row that is ahead of what was
// published stays, also against an answer of payments: the service showed that row.
func (folded Folded) Continue(row Order) (Order, Relation) {
	o := folded.Order
	if folded.FromRow {
		if len(o.Changes) == 0 {
			return o, Equal
		}
		return o, Behind
	}
	if !row.sameContent(&o) {
		return o, Contradicts
	}
	published := &folded.published
	was, is := moves(row.Changes), moves(published.Changes)
	same := func(a, b Change) bool { return a.To == b.To && a.At.Equal(b.At) }
	switch common := commonPrefix(was, is, same); {
	case common < min(len(was), len(is)):
	case len(was) < len(is), len(was) == len(is) && row.PaymentID == "" && published.PaymentID != "",
		len(was) == len(is) && row.sameState(published) && folded.answered:
		return o.after(row, len(was)), Behind
	case len(was) == len(is) && row.sameState(published):
		return o, Equal
	}
	status := func(a, b Change) bool { return a.To == b.To }
	if commonPrefix(was, is, status) == len(is) && (len(was) > len(is) || row.PaymentID != "" && published.PaymentID == "") {
		return o, Ahead
	}
	return o, Contradicts
}

// sameContent compares what never changes.
func (o *Order) sameContent(other *Order) bool {
	p := Placement{UserID: other.UserID, Total: other.Total, HasTotal: true, Currency: other.Total.Currency, Lines: other.Lines,
		PaymentMethod: other.PaymentMethod, Email: other.Email}
	return o.Same(p) == nil
}

// sameState compares what was told about the status.
func (o *Order) sameState(other *Order) bool {
	return o.Status == other.Status && o.Reason == other.Reason && o.PaymentID == other.PaymentID && o.Holds == other.Holds &&
		o.LatePayment == other.LatePayment && o.DecidedBy == other.DecidedBy
}

// moves returns the changes of the status.
func moves(changes []Change) []Change {
	var list []Change
	for _, c := range changes {
		if c.From != c.To {
			list = append(list, c)
		}
	}
	return list
}

func commonPrefix(a, b []Change, same func(a, b Change) bool) int {
	n := 0
	for n < min(len(a), len(b)) && same(a[n], b[n]) {
		n++
	}
	return n
}

// after returns the order with the changes that the row lacks, numbered behind those that it has. The row has the given number of
// moves, and maybe notes behind the last of them.
func (o Order) after(row Order, moved int) Order {
	rest := o.Changes
	for n := 0; len(rest) > 0 && (n < moved || rest[0].From == rest[0].To && row.PaymentID != ""); rest = rest[1:] {
		if rest[0].From != rest[0].To {
			n++
		}
	}
	o.Changes = slices.Clone(rest)
	o.Version = row.Version
	for i := range o.Changes {
		o.Version++
		o.Changes[i].Number = o.Version
	}
	return o
}
