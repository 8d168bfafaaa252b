// Package consumer is the table of what payments consumes: message type -> use case.
package consumer

import (
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/payments/internal/app"
)

// Table returns the routes. All other events of their topic are acknowledged and ignored, payments' own among them.
func Table(a *app.App) bus.Table {
	return bus.Table{
		bus.On(a.OnPaymentRequested),
		bus.On(a.OnRefundRequested),
	}
}
