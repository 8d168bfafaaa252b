package run

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALogLineGivesATerminalNothingToObey(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, err := Logger(&out, "orders", "info", format)
		require.NoError(t, err)
		log.Warn("parked", "err", errors.New("a stranger wrote \u009b31m"))
		require.Contains(t, out.String(), `\u009b31m`, format)
		require.NotContains(t, out.String(), "\u009b", format)
	}
}
