package store

import (
	"time"

	"pasdetrois/services/orders/internal/domain"
)

// orderArrays returns the arguments of insertOrdersSQL: one array for each of orderColumns.
func orderArrays(orders []*domain.Order) []any {
	return []any{
		column(orders, func(o *domain.Order) string { return o.ID }),
		column(orders, func(o *domain.Order) string { return o.UserID }),
		column(orders, func(o *domain.Order) int64 { return o.Total.Minor }),
		column(orders, func(o *domain.Order) string { return o.Total.Currency }),
		column(orders, func(o *domain.Order) string { return o.PaymentMethod }),
		column(orders, func(o *domain.Order) string { return o.Email }),
		column(orders, status),
		column(orders, reason),
		column(orders, holds),
		column(orders, paymentID),
		column(orders, latePayment),
		column(orders, decidedBy),
		column(orders, version),
		column(orders, func(o *domain.Order) time.Time { return o.CreatedAt }),
		column(orders, updatedAt),
		column(orders, statusAt),
		column(orders, dueAt),
		column(orders, nudges),
		column(orders, func(o *domain.Order) string { return o.TraceParent }),
	}
}

// changeArrays returns the arguments of updateOrdersSQL: what an order was read with, then what can change.
func changeArrays(orders []*domain.Order) []any {
	return []any{
		column(orders, func(o *domain.Order) string { return o.ID }),
		column(orders, func(o *domain.Order) string { was, _ := o.Stored(); return string(was) }),
		column(orders, func(o *domain.Order) int64 { _, was := o.Stored(); return was }),
		column(orders, status),
		column(orders, reason),
		column(orders, holds),
		column(orders, paymentID),
		column(orders, latePayment),
		column(orders, decidedBy),
		column(orders, version),
		column(orders, updatedAt),
		column(orders, statusAt),
		column(orders, dueAt),
		column(orders, nudges),
	}
}

func status(o *domain.Order) string       { return string(o.Status) }
func reason(o *domain.Order) string       { return o.Reason }
func holds(o *domain.Order) string        { return string(o.Holds) }
func paymentID(o *domain.Order) string    { return o.PaymentID }
func latePayment(o *domain.Order) bool    { return o.LatePayment }
func decidedBy(o *domain.Order) string    { return o.DecidedBy }
func version(o *domain.Order) int64       { return o.Version }
func updatedAt(o *domain.Order) time.Time { return o.UpdatedAt }
func statusAt(o *domain.Order) time.Time  { return o.StatusAt }
func nudges(o *domain.Order) int          { return o.Nudges }

func dueAt(o *domain.Order) *time.Time {
	if o.DueAt.IsZero() {
		return nil
	}
	return &o.DueAt
}
