package domain_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/services/orders/internal/domain"
)

func TestTheTransitionTable(t *testing.T) {
	t.Parallel()
	// Spelled out once more: a change of the table is a decision.
	table := map[domain.Status][]domain.Status{
		"":                 {"pending"},
		"pending":          {"awaiting_payment", "rejected", "cancelled", "confirmed", "cancelling", "failed"},
		"awaiting_payment": {"confirmed", "failed", "cancelling", "cancelled"},
		"confirmed":        {"cancelling", "cancelled"},
		"cancelling":       {"cancelled", "failed"},
		"rejected":         nil, "failed": nil, "cancelled": nil,
	}
	require.Len(t, table, len(domain.Statuses())+1)
	for from, want := range table {
		for _, to := range domain.Statuses() {
			require.Equal(t, slices.Contains(want, to), from.CanBecome(to), "%q -> %q", from, to)
		}
	}
	require.False(t, domain.Status("").Valid())
	for _, s := range domain.Statuses() {
		require.True(t, s.Valid())
		require.Equal(t, slices.Contains([]domain.Status{"confirmed", "rejected", "failed", "cancelled"}, s), s.Settled(), s)
	}
}
