package chaos

import (
	"testing"

	"pasdetrois/pkg/platform/testkit"
)

// Toxiproxy v2.5.0 may leave a goroutine of a link that was cut while a fault was added.
func TestMain(m *testing.M) {
	testkit.Main(m, "github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe")
}
