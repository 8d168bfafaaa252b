package cli_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Without Mailpit, --mail starts nothing, and says what is missing and how to get it.
func TestUpWithMailSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	data := filepath.Join(t.TempDir(), "data")
	said := pas(t, nil, "up", "--json", "--mail", "--data", data)
	require.Equal(t, 1, said.code)
	require.Contains(t, said.stderr, "no program mailpit in PATH")
	require.Contains(t, said.stderr, "`make up MAIL=1`")
	require.NoFileExists(t, filepath.Join(data, "up.json"))

	said = pas(t, map[string]string{"SMTP_URL": "smtp://mail.example:25"}, "up", "--mail", "--data", data)
	require.Equal(t, 2, said.code)
	require.Contains(t, said.oneLine(t), "--mail and SMTP_URL")
}
