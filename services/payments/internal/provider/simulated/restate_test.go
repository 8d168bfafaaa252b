package simulated_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider/simulated"
)

func payment(status domain.Status, reason, id string) domain.Payment {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	return domain.Payment{OrderID: "o1", UserID: "u1", Amount: messages.Money{Minor: 4999, Currency: "USD"}, Method: "pm_card_visa",
		Status: status, Reason: reason, PaymentID: id, CreatedAt: at, UpdatedAt: at.Add(time.Minute)}
}

func TestRestateMakesTheEntriesThatPaymentsProve(t *testing.T) {
	t.Parallel()
	captured, refunded := payment(domain.Captured, "", "pay_1"), payment(domain.Refunded, "cancelled", "pay_1")
	declined := payment(domain.Failed, "card_declined", "")
	tests := map[string]struct {
		entry    string // payment id and status before, "" = none
		payment  domain.Payment
		want     string
		restated bool
	}{
		"a charge that is missing":                 {"", captured, "pay_1 charged", true},
		"a refund that is missing":                 {"", refunded, "pay_1 refunded", true},
		"a refusal that is missing":                {"", declined, "declined", true},
		"an older entry":                           {"pay_1 charged", refunded, "pay_1 refunded", true},
		"an entry made anew":                       {"pay_2 charged", captured, "pay_1 charged", true},
		"one made anew and refunded":               {"pay_2 refunded", captured, "pay_1 charged", true},
		"an entry of a charge that had no outcome": {"pay_1 erring", captured, "pay_1 charged", true},
		"an equal entry":                           {"pay_1 charged", captured, "pay_1 charged", false},
		"a refund that is not stored yet":          {"pay_1 refunded", captured, "pay_1 refunded", false},
		"a charge that slipped through":            {"pay_1 charged", declined, "pay_1 charged", false},
		"suspected fraud: it was not asked":        {"", payment(domain.Failed, domain.ReasonSuspectedFraud, ""), "", false},
		"a tombstone: it was not asked":            {"", payment(domain.Voided, "cancelled", ""), "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			books := testkit.Database(t, migrations.Up).Pool(t, "payments")
			if tt.entry != "" {
				_, err := books.Exec(t.Context(), `INSERT INTO provider_ledger (payment_id, idempotency_key, order_id, user_id, amount_minor, currency,
					payment_method, status, refunded_at) SELECT split_part($1, ' ', 1), 'o1', 'o1', 'u1', 4999, 'USD', 'pm_card_visa', split_part($1, ' ', 2),
					CASE WHEN $1 LIKE '%refunded' THEN now() END`, tt.entry)
				require.NoError(t, err)
			}
			look := func() (entry string) {
				err := books.QueryRow(context.Background(), `SELECT concat_ws(' ', CASE WHEN status <> 'declined' THEN payment_id END, status)
					FROM provider_ledger WHERE idempotency_key = 'o1'`).Scan(&entry)
				if err != nil {
					require.ErrorIs(t, err, pgx.ErrNoRows)
				}
				return entry
			}
			for range 2 { // a dry run first
				before := look()
				differ, err := simulated.Books{}.Restate(t.Context(), books, []domain.Payment{tt.payment}, false)
				require.NoError(t, err)
				require.Equal(t, tt.restated && before != tt.want, len(differ) == 1, "%v", differ)
				require.Equal(t, before, look())
				_, err = simulated.Books{}.Restate(t.Context(), books, []domain.Payment{tt.payment}, true)
				require.NoError(t, err)
				require.Equal(t, tt.want, look())
			}
		})
	}
}
