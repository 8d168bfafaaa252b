// Command payments runs the payments service. `payments help` lists its subcommands and settings.
package main

import (
	"pasdetrois/pkg/platform/service"
	"pasdetrois/services/payments"
)

func main() { service.Main("payments", payments.Run) }
