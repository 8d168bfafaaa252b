package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var t0 = time.Date(2026, 5, 1, 12, 0, 0, 123456000, time.UTC)

func setup(t *testing.T) (*store.Store, *pgxpool.Pool) {
	t.Helper()
	pool := testkit.Database(t, migrations.Up).Pool(t, "payments")
	return store.New(pool), pool
}

func captured(order string) domain.Payment {
	return domain.Request{OrderID: order, UserID: "u1", Amount: messages.Money{Minor: 4999, Currency: "USD"}}.
		Settle(domain.Answer{PaymentID: "pay_" + order}, t0)
}

func tombstone(order string) domain.Payment {
	return domain.Refund{OrderID: order, UserID: "u1", Amount: messages.Money{Minor: 4999, Currency: "USD"}, Reason: "cancelled"}.
		Tombstone(t0)
}

func refunded(t *testing.T, p domain.Payment, at time.Time) domain.Payment {
	t.Helper()
	p, err := p.Refund("cancelled", at)
	require.NoError(t, err)
	return p
}

func TestOpenKeepsTheFirstDecision(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	kept, err := s.Open(t.Context(), []domain.Payment{captured("o2"), captured("o1")})
	require.NoError(t, err)
	require.Equal(t, map[string]app.Kept{"o1": {Payment: captured("o1"), Now: true}, "o2": {Payment: captured("o2"), Now: true}}, kept)

	kept, err = s.Open(t.Context(), []domain.Payment{tombstone("o1"), tombstone("o3")})
	require.NoError(t, err)
	require.Equal(t, map[string]app.Kept{"o1": {Payment: captured("o1")}, "o3": {Payment: tombstone("o3"), Now: true}}, kept)

	found, err := s.Payments(t.Context(), []string{"o1", "o3", "nobody's"})
	require.NoError(t, err)
	require.Equal(t, map[string]domain.Payment{"o1": captured("o1"), "o3": tombstone("o3")}, found)
	p, err := s.Payment(t.Context(), "o2", nil)
	require.NoError(t, err)
	require.Equal(t, captured("o2"), p)
}

func TestTextThatTheDatabaseNeverTakesIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	p := captured("o")
	p.Method = "a\x00b"
	_, err := s.Open(t.Context(), []domain.Payment{p})
	require.Equal(t, fault.Permanent, fault.KindOf(err), "%v", err)
}

func TestOpenWaitsForADecisionUnderWay(t *testing.T) {
	t.Parallel()
	s, pool := setup(t)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	_, err = tx.Exec(t.Context(), `INSERT INTO payments (order_id, user_id, amount_minor, currency, status, reason, created_at, updated_at)
		VALUES ('o1', 'u1', 4999, 'USD', 'voided', 'cancelled', $1, $1)`, t0)
	require.NoError(t, err)

	done := make(chan map[string]app.Kept, 1)
	go func() {
		kept, err := s.Open(t.Context(), []domain.Payment{captured("o1")})
		if err != nil {
			t.Error(err)
		}
		done <- kept
	}()
	testkit.Eventually(t, func() error { return blocked(t.Context(), pool) })
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, map[string]app.Kept{"o1": {Payment: tombstone("o1")}}, <-done)
}

func TestRefundChangesOnlyWhatIsCaptured(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	_, err := s.Open(t.Context(), []domain.Payment{captured("o1"), captured("o2"), tombstone("o3")})
	require.NoError(t, err)
	first := refunded(t, captured("o1"), t0.Add(time.Minute))
	late := refunded(t, captured("o1"), t0.Add(time.Hour))

	kept, err := s.Refund(t.Context(), []domain.Payment{first, refunded(t, captured("o3"), t0)}, []domain.Payment{tombstone("o2"), tombstone("o4")})
	require.NoError(t, err)
	require.Equal(t, map[string]app.Kept{
		"o1": {Payment: first, Now: true},
		"o2": {Payment: captured("o2")},
		"o3": {Payment: tombstone("o3")},
		"o4": {Payment: tombstone("o4"), Now: true},
	}, kept)

	kept, err = s.Refund(t.Context(), []domain.Payment{late}, nil)
	require.NoError(t, err)
	require.Equal(t, map[string]app.Kept{"o1": {Payment: first}}, kept, "the first refund stands")
}

func TestRefundIsOneTransaction(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	_, err := s.Open(t.Context(), []domain.Payment{captured("o1")})
	require.NoError(t, err)
	bad := tombstone("o2")
	bad.Reason = "" // breaks a CHECK

	_, err = s.Refund(t.Context(), []domain.Payment{refunded(t, captured("o1"), t0)}, []domain.Payment{bad})
	require.Error(t, err)
	p, err := s.Payment(t.Context(), "o1", nil)
	require.NoError(t, err)
	require.Equal(t, domain.Captured, p.Status)
}

func TestPaymentNotFound(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	_, err := s.Payment(t.Context(), "nobody's", nil)
	require.ErrorIs(t, err, app.ErrNotFound)
}

// The table refuses what the domain never makes.
func TestConstraints(t *testing.T) {
	t.Parallel()
	s, pool := setup(t)
	broken := map[string]func(p *domain.Payment){
		"payment_status":                  func(p *domain.Payment) { p.Status, p.PaymentID, p.Reason = "lost", "", "x" },
		"payment_amount_positive":         func(p *domain.Payment) { p.Amount.Minor = 0 },
		"payment_currency_code":           func(p *domain.Payment) { p.Amount.Currency = "usd" },
		"payment_id_when_money_was_taken": func(p *domain.Payment) { p.PaymentID = "" },
		"payment_reason_unless_captured":  func(p *domain.Payment) { p.Reason = "why" },
	}
	for constraint, breakIt := range broken {
		p := captured("o1")
		breakIt(&p)
		_, err := s.Open(t.Context(), []domain.Payment{p})
		var violation *pgconn.PgError
		require.ErrorAs(t, err, &violation, constraint)
		require.Equal(t, constraint, violation.ConstraintName)
	}

	var check string
	require.NoError(t, pool.QueryRow(t.Context(),
		`SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'payment_status'`).Scan(&check))
	for _, status := range domain.Statuses() {
		require.Contains(t, check, "'"+string(status)+"'")
	}
}

var errNobodyWaits = errors.New("nobody waits for a lock")

func blocked(ctx context.Context, pool *pgxpool.Pool) error {
	var n int
	err := pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
	if err != nil {
		return err
	}
	if n == 0 {
		return errNobodyWaits
	}
	return nil
}
