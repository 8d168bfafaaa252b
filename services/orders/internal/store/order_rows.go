package store

import (
	"time"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/domain"
)

// Statements take one array for each column, so that a batch of any size is one statement with one plan. The order of the arrays
// is that of the statement's parameters: a change here needs the same change there.

// newArrays returns the arguments of insertOrdersSQL.
func newArrays(orders []*domain.Order) []any {
	return append([]any{
		pgdb.Column(orders, orderID),
		pgdb.Column(orders, func(o *domain.Order) string { return o.UserID }),
		pgdb.Column(orders, func(o *domain.Order) int64 { return o.Total.Minor }),
		pgdb.Column(orders, func(o *domain.Order) string { return o.Total.Currency }),
		pgdb.Column(orders, func(o *domain.Order) string { return o.PaymentMethod }),
		pgdb.Column(orders, func(o *domain.Order) string { return o.Email }),
		pgdb.Column(orders, func(o *domain.Order) string { return o.TraceParent }),
		pgdb.Column(orders, func(o *domain.Order) time.Time { return o.CreatedAt }),
	}, stateArrays(orders)...)
}

// changedArrays returns the arguments of updateOrdersSQL: the state that an order was read with, then its state now.
func changedArrays(orders []*domain.Order) []any {
	return append([]any{
		pgdb.Column(orders, orderID),
		pgdb.Column(orders, func(o *domain.Order) string { was, _ := o.Stored(); return string(was) }),
		pgdb.Column(orders, func(o *domain.Order) int64 { _, was := o.Stored(); return was }),
	}, stateArrays(orders)...)
}

func orderID(o *domain.Order) string { return o.ID }

// stateArrays returns the columns of an order that can change. Inserts and updates share them, in the same order.
func stateArrays(orders []*domain.Order) []any {
	return []any{
		pgdb.Column(orders, func(o *domain.Order) string { return string(o.Status) }),
		pgdb.Column(orders, func(o *domain.Order) string { return o.Reason }),
		pgdb.Column(orders, func(o *domain.Order) string { return string(o.Holds) }),
		pgdb.Column(orders, func(o *domain.Order) string { return o.PaymentID }),
		pgdb.Column(orders, func(o *domain.Order) bool { return o.LatePayment }),
		pgdb.Column(orders, func(o *domain.Order) string { return o.DecidedBy }),
		pgdb.Column(orders, func(o *domain.Order) int64 { return o.Version }),
		pgdb.Column(orders, func(o *domain.Order) time.Time { return o.UpdatedAt }),
		pgdb.Column(orders, func(o *domain.Order) time.Time { return o.StatusAt }),
		pgdb.Column(orders, func(o *domain.Order) *time.Time { return pgdb.NullTime(o.DueAt) }),
		pgdb.Column(orders, func(o *domain.Order) int { return o.Nudges }),
	}
}
