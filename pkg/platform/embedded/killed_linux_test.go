package embedded_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
)

// On other systems a server outlives a killed process, as every child does.
func TestTheServerEndsWithAProcessThatIsKilled(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := folder(t)
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), asParent+"="+dir)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	hold, err := parent.StdinPipe()
	require.NoError(t, err)
	defer hold.Close()
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	url := strings.TrimSuffix(line, " <nil>\n")
	require.Equal(t, "1", show(t, url, `SELECT '1'`))

	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), url)
		if err == nil {
			_ = conn.Close(t.Context())
		}
		return err != nil
	}, patience, tick)
	start(t, embedded.PostgresConfig{DataDir: dir}) // also while the old one is still ending
}

func TestTheFolderOfAKilledProcessIsRemovedByTheNext(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), asParent+"="+inScratch)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	hold, err := parent.StdinPipe()
	require.NoError(t, err)
	defer hold.Close()
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	data := show(t, strings.TrimSuffix(line, " <nil>\n"), `SHOW data_directory`)
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())

	require.Eventually(t, func() bool { // not at once: the old server may still write while it ends
		next, err := embedded.ScratchFolder()
		require.NoError(t, err)
		require.NoError(t, os.Remove(next))
		_, err = os.Stat(filepath.Dir(data))
		return os.IsNotExist(err)
	}, patience, tick)
}
