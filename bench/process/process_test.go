package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func start(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(Spec{Name: "program", Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"SAID=hello"}, Logs: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Stop() })
	return p
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestStopEndsAProgram(t *testing.T) {
	t.Parallel()
	p := start(t, `exec sleep 600`)
	require.NoError(t, p.Alive())
	require.NoError(t, p.Stop())
	require.True(t, gone(p.PID()))
	require.NoError(t, p.Stop(), "again")
}

func TestAProgramThatEndsByItselfIsReportedWithItsLastOutput(t *testing.T) {
	t.Parallel()
	p := start(t, `echo "$SAID world"; exit 3`)
	<-p.Exited()
	require.ErrorContains(t, p.Alive(), "exit status 3")
	require.ErrorContains(t, p.Stop(), "hello world")
	_, err := Start(Spec{Name: "nothing", Path: "/no/such/program", Logs: t.TempDir()})
	require.Error(t, err)
}

func TestRunReturnsTheOutputOrTheError(t *testing.T) {
	t.Parallel()
	out, err := Run(t.Context(), "", []string{"N=7"}, "/bin/sh", "-c", `echo "n is $N"`)
	require.NoError(t, err)
	require.Equal(t, "n is 7\n", out)
	_, err = Run(t.Context(), "", nil, "/bin/sh", "-c", `echo "no way" >&2; exit 1`)
	require.ErrorContains(t, err, "no way")

	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, enough)
	defer cancel()
	_, err = Run(ctx, "", nil, "/bin/sh", "-c", "sleep 600")
	require.ErrorIs(t, err, enough)
}

func TestUsageCountsChildrenToo(t *testing.T) {
	t.Parallel()
	// The outer shell waits for the inner one to use processor time; it ends before the test reads the usage.
	p := start(t, `sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo spent; exec sleep 600`)
	require.Eventually(t, func() bool {
		content, err := os.ReadFile(p.Log)
		return err == nil && len(content) > 0
	}, time.Minute, 10*time.Millisecond)
	u := UsageOf(p.PID())
	require.Greater(t, u.CPU, 20*time.Millisecond)
	require.Greater(t, u.Peak, int64(100<<10))
	require.Positive(t, Resident(p.PID()))
	require.Zero(t, UsageOf(1<<30))
	require.Positive(t, Own().CPU)
}

func TestUsageIsReadWhateverTheNameOfTheProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a (strange) name")
	require.NoError(t, os.Symlink("/bin/sh", path))
	p, err := Start(Spec{Name: "strange", Path: path, Args: []string{"-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 600; true"}, Logs: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Stop() })
	require.Eventually(t, func() bool { return UsageOf(p.PID()).CPU > 20*time.Millisecond }, time.Minute, 10*time.Millisecond)
}

func TestStolenTimeIsPartOfAllTime(t *testing.T) {
	t.Parallel()
	stolen, all := Stolen()
	if _, err := os.Stat("/proc/stat"); err == nil {
		require.Positive(t, all)
		require.Less(t, stolen, all)
		require.GreaterOrEqual(t, stolen, 0.0)
	}
}
