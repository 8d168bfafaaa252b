package embedded_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
)

func TestScratchFoldersOfProcessesThatEndedAreRemoved(t *testing.T) {
	t.Parallel()
	ended := exec.Command("true")
	require.NoError(t, ended.Run())
	dead := embedded.ScratchName(ended.Process.Pid)
	parent := t.TempDir()
	made := func(name string) string {
		dir := filepath.Join(parent, name)
		install(t, filepath.Join(dir, "pg"), "PG_VERSION")
		return dir
	}
	orphan := made(dead + "1")
	own, err := embedded.ScratchIn(parent)
	require.NoError(t, err)
	kept := []string{
		own,
		made(embedded.ScratchName(os.Getppid()) + "1"),
		made("pasdetrois-postgres-828540377"),                        // the name has no process
		made(dead[:len(dead)-1] + "7-1"),                             // of another namespace
		made("another-" + dead + "1"),                                // not a scratch folder
		made("pasdetrois-postgres--1-" + filepath.Base(t.TempDir())), // no process has this number
	}
	file := filepath.Join(parent, dead+"2")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	outside := made("outside")
	link := filepath.Join(parent, dead+"3")
	require.NoError(t, os.Symlink(outside, link))
	if os.Geteuid() == 0 {
		foreign := made(dead + "4")
		require.NoError(t, os.Chown(foreign, 54321, 54321))
		kept = append(kept, foreign)
	}

	embedded.RemoveOrphans(parent)
	require.NoDirExists(t, orphan)
	for _, dir := range append(kept, outside) {
		require.DirExists(t, dir)
	}
	require.FileExists(t, file)
	require.FileExists(t, filepath.Join(link, "pg/PG_VERSION"))
}

// A file system in memory is often as large as half of the memory, however much of that is in use.
func TestMemoryIsUsedOnlyWhenTheMachineHasEnough(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	info := func(content string) string {
		path := filepath.Join(t.TempDir(), "meminfo")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	const needed = 1 << 20
	for content, enough := range map[string]bool{
		"MemTotal: 9999 kB\nMemAvailable:    1024 kB\nBuffers: 1 kB\n": true,
		"MemTotal: 9999 kB\nMemAvailable:    1023 kB\nBuffers: 1 kB\n": false,
		"MemTotal: 1 kB\n": true, // an old kernel does not say
		"MemAvailable:":    true,
	} {
		require.Equal(t, enough, embedded.HasRoom(folder, info(content), needed), "%q", content)
	}
	none := filepath.Join(folder, "none")
	require.True(t, embedded.HasRoom(folder, none, needed), "a system without this file")
	require.False(t, embedded.HasRoom(folder, none, 1<<62), "the file system is full")
	require.False(t, embedded.HasRoom(none, none, needed), "a system without this file system")
}
