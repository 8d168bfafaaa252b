package terminal

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATerminalIsGivenNothingToObey(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := Safe(&out)
	for given, want := range map[string]string{
		"plain \x1b[1mbold\x1b[0m é 🦢\n": "plain \x1b[1mbold\x1b[0m é 🦢\n",
		"a\u009b31mred":                  `a\u009b31mred`,
		"\u0080\u0085\u009f\u007f":       `\u0080\u0085\u009f\u007f`,
		"a\x9b31m":                       `a\ufffd31m`, // the control as one byte, as Latin-1 terminals read it
		"a\u202eb\u2066c":                `a\u202eb\u2066c`,
		"\xc3":                           "\xc3",
	} {
		out.Reset()
		n, err := w.Write([]byte(given))
		require.NoError(t, err)
		require.Equal(t, len(given), n)
		require.Equal(t, want, out.String())
	}
}

func TestAJSONDocumentKeepsItsMeaning(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	given := map[string]any{"key": "a\u009b\u007f\u202e\uFFFD", "value": json.RawMessage("{\"x\":\"\u0090\"}")}
	require.NoError(t, json.NewEncoder(Safe(&out)).Encode(given))
	require.NotContains(t, out.String(), "\u009b")
	require.NotContains(t, out.String(), "\u0090")
	var back map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	require.Equal(t, map[string]any{"key": given["key"], "value": map[string]any{"x": "\u0090"}}, back)
}

func TestAFileStaysOne(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer file.Close()
	_, is := Safe(file).(interface{ Fd() uintptr })
	require.True(t, is, "colour is for terminals")
	_, is = Safe(&bytes.Buffer{}).(interface{ Fd() uintptr })
	require.False(t, is)
}
