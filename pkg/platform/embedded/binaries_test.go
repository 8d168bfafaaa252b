package embedded_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
)

func TestServersOnThePathComeFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	installed := install(t, filepath.Join(dir, "opt/16/bin"), "postgres", "initdb")
	install(t, filepath.Join(dir, "lib/17/bin"), "postgres", "initdb")
	elsewhere := install(t, filepath.Join(dir, "elsewhere"), "postgres", "initdb")
	half := install(t, filepath.Join(dir, "half"), "postgres")
	links := install(t, filepath.Join(dir, "links"))
	require.NoError(t, os.Symlink(filepath.Join(installed, "postgres"), filepath.Join(links, "postgres")))
	folders := install(t, filepath.Join(dir, "folders/postgres"))

	for path, want := range map[string]string{
		elsewhere: elsewhere,
		links:     installed, // where the rest of the installation is
		strings.Join([]string{filepath.Join(dir, "nowhere"), half, filepath.Dir(folders), "", ".", elsewhere}, ":"): elsewhere,
	} {
		got, err := embedded.Source{Path: path, Places: []string{filepath.Join(dir, "lib/*/bin")}}.Binaries(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got, path)
	}
}

func TestTheNewestOfTheInstalledServersIsTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"9.6", "15", "16"} {
		install(t, filepath.Join(dir, version, "bin"), "postgres", "initdb")
	}
	install(t, filepath.Join(dir, "17", "bin"), "postgres") // a client's package, say
	got, err := embedded.Source{Places: []string{filepath.Join(dir, "none/*"), dir + "/*/bin"}}.Binaries(t.Context())
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "16/bin"), got)
}

func TestServersAreNotTakenFromTheWorkingFolder(t *testing.T) { // which is the process's, so not parallel
	dir := install(t, t.TempDir(), "postgres", "initdb")
	t.Chdir(dir)
	repository, _ := closed(t)
	_, err := embedded.Source{Path: ".::" + filepath.Base(dir), Kept: filepath.Join(t.TempDir(), "kept"), Repository: repository}.Binaries(t.Context())
	require.ErrorContains(t, err, "no Postgres server is installed")
}
