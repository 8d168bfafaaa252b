// Command shipping runs the shipping service. `shipping help` lists its subcommands and settings.
package main

import (
	"pasdetrois/examples/shipping"
	"pasdetrois/pkg/platform/service"
)

func main() { service.Main("shipping", shipping.Run) }
