package secretfile_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/secretfile"
	"pasdetrois/pkg/platform/testkit"
)

func write(t *testing.T, path string, mode os.FileMode) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(" one \n\n two\n"), 0o600))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func TestAFileThatOthersMayReadIsRefused(t *testing.T) {
	t.Parallel()
	for mode, refused := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o700: false, 0o640: true, 0o604: true, 0o644: true,
		0o620: true, 0o602: true, 0o444: true} {
		path := write(t, filepath.Join(t.TempDir(), "token"), mode)
		content, err := secretfile.Read(path)
		if !refused {
			require.NoError(t, err, "%o", mode)
			require.Equal(t, []string{"one", "two"}, secretfile.Lines(content))
			continue
		}
		var readable *secretfile.ReadableError
		require.ErrorAs(t, err, &readable, "%o", mode)
		require.Contains(t, err.Error(), "chmod 600 "+path)
		require.Nil(t, content)
	}
}

// A secret volume as kubelet makes it: the file is a link to ..data/token, and ..data is a link to a folder with a date.
func TestAFileInASecretVolumeOfKubernetesMayHaveItsMode(t *testing.T) {
	t.Parallel()
	volume := t.TempDir()
	file := write(t, filepath.Join(volume, "..2026_11_30", "token"), 0o444)
	require.NoError(t, os.Symlink("..2026_11_30", filepath.Join(volume, "..data")))
	require.NoError(t, os.Symlink(filepath.Join("..data", "token"), filepath.Join(volume, "token")))
	_, err := secretfile.Read(filepath.Join(volume, "token"))
	require.NoError(t, err)
	require.NoError(t, os.Chmod(file, 0o464))
	_, err = secretfile.Read(filepath.Join(volume, "token"))
	require.ErrorContains(t, err, "so others may change it", "a file that others may write is nobody's secret")
}

func TestWhatIsNoSecretFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := secretfile.Read(dir)
	require.ErrorContains(t, err, "is not a file")
	_, err = secretfile.Read(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	large := write(t, filepath.Join(dir, "large"), 0o600)
	require.NoError(t, os.Truncate(large, 1<<20+1))
	_, err = secretfile.Read(large)
	require.ErrorContains(t, err, "more than 1048576 bytes")
}

// A file may be unreadable for a moment, such as while a volume is exchanged. Nobody needs to touch it again after that.
func TestAPassingErrorIsTriedAgain(t *testing.T) {
	t.Parallel()
	path := write(t, filepath.Join(t.TempDir(), "token"), 0o600)
	var failing atomic.Bool
	var tries atomic.Int64
	w, err := secretfile.Watch(slog.New(slog.DiscardHandler), func() (string, error) {
		tries.Add(1)
		if failing.Load() {
			return "", os.ErrPermission
		}
		content, err := os.ReadFile(path)
		return string(content), err
	}, path)
	require.NoError(t, err)
	failing.Store(true)
	require.NoError(t, os.WriteFile(path, []byte("another"), 0o600))
	until := func(holds func(value string) bool) {
		t.Helper()
		testkit.Eventually(t, func() error {
			if value := w.Get(); !holds(value) {
				return errors.New("the value is still " + value)
			}
			return nil
		})
	}
	until(func(string) bool { return tries.Load() > 1 })
	failing.Store(false)
	until(func(value string) bool { return value == "another" })
}

func TestATokenIsLongAndPrintable(t *testing.T) {
	t.Parallel()
	require.NoError(t, secretfile.CheckToken(strings.Repeat("k", 32)))
	for _, wrong := range []string{"", strings.Repeat("k", 31), strings.Repeat("k", 31) + " k", strings.Repeat("ü", 32), strings.Repeat("k", 32) + "\x00"} {
		err := secretfile.CheckToken(wrong)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "kkk", "the error does not hold the token")
	}
}
