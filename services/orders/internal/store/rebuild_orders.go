package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/services/orders/internal/domain"
)

const (
	rowsSQL      = `SELECT ` + orderColumns + ` FROM orders WHERE order_id = ANY($1)`
	timelinesSQL = `SELECT order_id, number, event, status_from, status_to, detail, at FROM order_events
WHERE order_id = ANY($1) ORDER BY order_id, number`
)

// unreadGrace is how long an order may at least wait for its payment after a rebuild: the answer may be on the topic, unread.
const unreadGrace = 5 * time.Minute

// foldOrders folds the stories of orders, in their order, and notes what is to be written.
func (f *folding) foldOrders(ctx context.Context, stories []rebuild.Story) error {
	if len(stories) == 0 {
		return nil
	}
	rows, err := f.readRows(ctx, pgdb.Column(stories, func(s rebuild.Story) string { return s.Key }))
	if err != nil {
		return err
	}
	for _, s := range stories {
		if !f.removed[retention.ID(s.Key)] { // retention removed it, and a rebuild does not bring it back
			f.foldOrder(s, rows[s.Key])
		}
	}
	return nil
}

// readRows reads those of the orders that exist, with their lines and, in Changes, their timelines. It notes those that retention removed.
func (f *folding) readRows(ctx context.Context, ids []string) (map[string]*domain.Order, error) {
	rows := make(map[string]*domain.Order)
	var batch pgx.Batch
	queueRead(&batch, func(orders []*domain.Order) { rows = byID(orders) }, reading{rowsSQL, linesSQL}, ids, ids)
	batch.Queue(timelinesSQL, ids).Query(func(result pgx.Rows) error {
		var id string
		var c domain.Change
		_, err := pgx.ForEachRow(result, []any{&id, &c.Number, &c.Event, &c.From, &c.To, &c.Detail, &c.At}, func() error {
			if o := rows[id]; o != nil {
				change := c
				change.At = c.At.UTC()
				o.Changes = append(o.Changes, change)
			}
			return nil
		})
		return err
	})
	f.removed = make(map[[16]byte]bool)
	queueRemoved(&batch, ids, f.removed)
	if err := f.tx.Send(ctx, &batch); err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return rows, nil
}

// foldOrder folds one story. The row is nil when there is none.
func (f *folding) foldOrder(s rebuild.Story, row *domain.Order) {
	told := make([]messages.Message, len(s.Records))
	var parked []int
	for i, r := range s.Records {
		told[i] = r.Message
		if f.aside[placeOf(r)].parked {
			parked = append(parked, i)
		}
	}
	folded := domain.Fold(told, row, f.policy, parked...)
	find := func(kind rebuild.Kind, fill func(*rebuild.Finding)) {
		found := rebuild.Finding{Kind: kind, Key: s.Key, At: told[0].Time}
		if row != nil {
			found.Was = inWords(row)
		}
		fill(&found)
		f.findings = append(f.findings, found)
	}
	if folded.Order.ID != "" {
		if o, why := f.toWrite(folded, row); o != nil {
			find(rebuild.Differs, func(found *rebuild.Finding) { found.Is, found.Why = inWords(o), why })
		}
	}
	if folded.Unknown != "" {
		find(rebuild.Unknown, func(found *rebuild.Finding) {
			found.Is, found.Why, found.Do = inWords(&folded.Order), folded.Unknown, folded.Do
		})
	}
	open, again := folded.Open, folded.Again
	for _, i := range folded.Refused {
		r := s.Records[i]
		if _, aside := f.aside[placeOf(r)]; !aside && folded.Unknown == "" {
			if open == "" {
				open = r.Event.EventName() + " is neither a dead letter nor held"
			}
			again = append(again, i)
		}
	}
	if open != "" {
		find(rebuild.Undecided, func(found *rebuild.Finding) {
			found.Is, found.Why = inWords(&folded.Order), open
			found.Again = pgdb.Column(again, func(i int) rebuild.Record { return s.Records[i] })
		})
	}
}

// toWrite notes the order to write, and returns it when it is another one than the row.
func (f *folding) toWrite(folded domain.Folded, row *domain.Order) (differs *domain.Order, why string) {
	o := folded.Order
	if row == nil {
		f.note(&o, nil)
		return &o, ""
	}
	o, relation := folded.Continue(*row)
	switch relation {
	case domain.Equal, domain.Ahead:
		// The sweeper must not call off an order whose payment's answer is on the topic, unread.
		if row.Status == domain.AwaitingPayment && folded.Open != "" && row.DueAt.Before(f.now().Add(f.grace()/2)) {
			longer := *row
			longer.Changes, longer.DueAt = nil, f.now().Add(f.grace())
			f.orders = append(f.orders, &longer)
		}
		return nil, ""
	case domain.Contradicts:
		f.replaced = append(f.replaced, o.ID)
		why = "the row contradicts the topics"
	}
	f.note(&o, row)
	return &o, why
}

// note takes the order among those to write. It gets a deadline, and the pieces that it holds are counted for a dry run.
func (f *folding) note(o, row *domain.Order) {
	if o.Status == domain.AwaitingPayment {
		if least := f.now().Add(f.grace()); o.DueAt.Before(least) {
			o.DueAt = least
		}
	}
	if row != nil {
		f.count(row, -1)
	}
	f.count(o, 1)
	f.orders = append(f.orders, o)
}

// grace is how long an order waits for its payment at least.
func (r *Rebuilder) grace() time.Duration { return min(unreadGrace, r.policy.PaymentTimeout) }

// count adds the pieces that the order holds, or takes them off.
func (f *folding) count(o *domain.Order, sign int64) {
	for _, l := range o.Lines {
		p, n := f.counted[l.SKU], sign*int64(l.Quantity)
		switch o.Holds {
		case domain.HoldsReserved:
			p.reserved += n
		case domain.HoldsSold:
			p.sold += n
		default:
			continue
		}
		f.counted[l.SKU] = p
	}
}

// inWords describes an order for the report, "" when there is none.
func inWords(o *domain.Order) string {
	if o.ID == "" {
		return ""
	}
	text := string(o.Status)
	if o.Reason != "" {
		text += " (" + o.Reason + ")"
	}
	text += ", " + o.Total.String()
	if o.PaymentID != "" {
		text += ", payment " + o.PaymentID
	}
	if o.LatePayment {
		text += " that came late"
	}
	if o.Holds != domain.HoldsNone {
		text += ", stock " + string(o.Holds)
	}
	return fmt.Sprintf("%s, change %d", text, o.Version)
}
