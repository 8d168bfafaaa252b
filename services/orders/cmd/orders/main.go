// Command orders runs the orders service. `orders help` lists its subcommands and settings.
package main

import (
	"pasdetrois/pkg/platform/service"
	"pasdetrois/services/orders"
)

func main() { service.Main("orders", orders.Run) }
