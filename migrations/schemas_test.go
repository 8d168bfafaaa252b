package migrations

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
)

func TestEachServiceHasASchema(t *testing.T) {
	t.Parallel()
	entries, err := files.ReadDir(".")
	require.NoError(t, err)
	var schemas []string
	for _, entry := range entries {
		schemas = append(schemas, entry.Name())
	}
	require.ElementsMatch(t, messages.Services(), schemas)
}

func TestTheViewOfOrdersAndTheContractAgreeWhichOrdersAreSettled(t *testing.T) {
	t.Parallel()
	view, err := files.ReadFile("orders/00102_replay_views.sql")
	require.NoError(t, err)
	require.Contains(t, string(view), "o.status IN ('"+strings.Join(messages.SettledStatuses(), "', '")+"') AS settled")
}
