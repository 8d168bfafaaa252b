// Package consumer says which message triggers which use case.
package consumer

import (
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/orders/internal/app"
)

// Table returns all that orders consumes.
func Table(a *app.App) bus.Table {
	return bus.Table{
		bus.On(a.OnOrderPlaced),
		bus.On(a.OnPaymentCaptured),
		bus.On(a.OnPaymentRefunded),
		bus.On(a.OnPaymentFailed),
	}
}
