package cli_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/pkg/platform/erasure"
)

// Another key would bring erased users back.
func TestUpKeepsTheKeyOfErasedUsers(t *testing.T) {
	t.Parallel()
	data, environ := t.TempDir(), map[string]string{}
	require.NoError(t, cli.WithErasureKey(environ, data))
	made := environ["ERASURE_KEY_FILE"]
	require.Equal(t, data, filepath.Dir(made))
	require.NoError(t, erasure.Settings{KeyFile: made}.Validate())
	first, err := os.ReadFile(made)
	require.NoError(t, err)

	again := map[string]string{}
	require.NoError(t, cli.WithErasureKey(again, data))
	second, err := os.ReadFile(again["ERASURE_KEY_FILE"])
	require.NoError(t, err)
	require.Equal(t, first, second)

	given := map[string]string{"ERASURE_KEY_FILE": "theirs"}
	require.NoError(t, cli.WithErasureKey(given, t.TempDir()))
	require.Equal(t, "theirs", given["ERASURE_KEY_FILE"])
}
