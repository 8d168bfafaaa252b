// Package consumer is the table of what notifications consumes: message type -> use case.
package consumer

import (
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/notifications/internal/app"
)

// Table returns the routes.
func Table(a *app.App) bus.Table {
	return bus.Table{
		bus.On(a.OnNotificationRequested),
	}
}
