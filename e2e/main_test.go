// Package e2e tests the whole choreography from outside: over HTTP and with a plain Kafka client.
package e2e

import (
	"testing"

	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
