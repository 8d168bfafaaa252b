package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/app"
)

func TestTableHasEachEventThatTheContractNames(t *testing.T) {
	t.Parallel()
	var routed, consumed []string
	for _, route := range new(app.App).Table() {
		routed = append(routed, route.Event())
	}
	for _, event := range messages.Registry() {
		if event.ConsumedBy(messages.ServiceOrders) {
			consumed = append(consumed, event.Name)
		}
	}
	require.ElementsMatch(t, consumed, routed)
}
