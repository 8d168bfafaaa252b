package payments

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider"
	"pasdetrois/services/payments/internal/store"
)

// state is the payments, and the books of the simulated provider, which are in the same database.
type state struct {
	store *store.Store
	books provider.Books // nil: the provider keeps them itself
}

// NewState returns the state of payments over a pool of its schema. PROVIDER_URL of the service says whose books are to be made
// again: those of the simulated provider only.
func NewState(pool *pgxpool.Pool, providerURL string) (rebuild.State, error) {
	books, err := provider.BooksOf(providerURL)
	if err != nil {
		return nil, err
	}
	return &state{store: store.New(pool), books: books}, nil
}

// Key implements rebuild.State: the order id of each message about a payment.
func (s *state) Key(m messages.Message) string {
	switch m.Event.(type) {
	case messages.PaymentRequested, messages.PaymentCaptured, messages.PaymentFailed, messages.RefundRequested, messages.PaymentRefunded:
		return m.Event.Order()
	default:
		return ""
	}
}

// Fold implements rebuild.State.
func (s *state) Fold(ctx context.Context, stories []rebuild.Story, write bool) ([]rebuild.Finding, error) {
	orders := pgdb.Column(stories, func(story rebuild.Story) string { return story.Key })
	var findings []rebuild.Finding
	err := s.store.Rebuild(ctx, orders, write, func(ctx context.Context, q pgdb.Querier, rows map[string]domain.Payment) ([]domain.Payment, error) {
		findings = nil
		var changed, certain []domain.Payment
		for _, story := range stories {
			row := rows[story.Key]
			if row.Status.IsRemoved() { // by retention, and a rebuild does not bring it back
				continue
			}
			f := domain.Fold(row, told(story))
			findings = append(findings, found(story, row, f)...)
			if f.Payment != row {
				changed = append(changed, f.Payment)
			}
			if f.Payment.Status != "" {
				certain = append(certain, f.Payment)
			}
		}
		restated, err := s.restate(ctx, q, certain, write)
		findings = append(findings, restated...)
		return changed, err
	})
	if err != nil {
		return nil, fmt.Errorf("make %d payments again: %w", len(stories), err)
	}
	return findings, nil
}

// Finish implements rebuild.State. Nothing in this service is of more than one order.
func (s *state) Finish(context.Context, bool) ([]rebuild.Finding, error) { return nil, nil }

func told(story rebuild.Story) []domain.Told {
	return pgdb.Column(story.Records, func(r rebuild.Record) domain.Told {
		return domain.Told{Message: r.Message, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	})
}

// found returns the lines of the report about one story.
func found(story rebuild.Story, row domain.Payment, f domain.Folded) []rebuild.Finding {
	line := rebuild.Finding{Key: story.Key, Was: words(row), Is: words(f.Payment), At: story.Records[0].Time}
	var findings []rebuild.Finding
	add := func(kind rebuild.Kind, why, do string) {
		line.Kind, line.Why, line.Do = kind, why, do
		findings = append(findings, line)
	}
	if f.Payment != row {
		add(rebuild.Differs, "", "")
	}
	for _, gap := range f.Unknown {
		add(rebuild.Unknown, gap.Why, gap.Do)
	}
	if f.Undecided != "" {
		add(rebuild.Undecided, f.Undecided, "")
	}
	return findings
}

// words returns a payment in words, "" for none.
func words(p domain.Payment) string {
	if p.Status == "" {
		return ""
	}
	text := fmt.Sprintf("%s, %s", p.Status, p.Amount)
	if p.Reason != "" {
		text += ", " + messages.Shown(p.Reason)
	}
	if p.PaymentID != "" {
		text += ", " + messages.Shown(p.PaymentID)
	}
	return text
}

// restate makes the books of the simulated provider again.
func (s *state) restate(ctx context.Context, q pgdb.Querier, certain []domain.Payment, write bool) ([]rebuild.Finding, error) {
	if s.books == nil {
		return nil, nil
	}
	restated, err := s.books.Restate(ctx, q, certain, write)
	if err != nil {
		return nil, err
	}
	return pgdb.Column(restated, func(r provider.Restated) rebuild.Finding {
		f := rebuild.Finding{Kind: rebuild.Differs, Key: r.OrderID, Is: "in the simulated provider's ledger: " + r.Is}
		if r.Was != "" {
			f.Was = "in the simulated provider's ledger: " + r.Was
		}
		return f
	}), nil
}
