// Command notifications runs the notifications service. `notifications help` lists its subcommands and settings.
package main

import (
	"pasdetrois/pkg/platform/service"
	"pasdetrois/services/notifications"
)

func main() { service.Main("notifications", notifications.Run) }
