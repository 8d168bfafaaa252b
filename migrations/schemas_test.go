package migrations

import (
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
