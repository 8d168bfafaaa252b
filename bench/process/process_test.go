package process

import (
	"context"
	"errors"
	"os"
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

func TestWhatEndsByItselfIsToldWithItsLastWords(t *testing.T) {
	t.Parallel()
	p := start(t, `echo "$SAID world"; exit 3`)
	<-p.Exited()
	require.ErrorContains(t, p.Alive(), "exit status 3")
	require.ErrorContains(t, p.Stop(), "hello world")
	_, err := Start(Spec{Name: "nothing", Path: "/no/such/program", Logs: t.TempDir()})
	require.Error(t, err)
}

func TestRunReturnsWhatWasWrittenOrWhyNot(t *testing.T) {
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
	// The outer shell waits for the inner one to spend some time, which ends before it is looked at.
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

func TestStatIsReadWhateverAProgramIsCalled(t *testing.T) {
	t.Parallel()
	s, ok := parseStat([]byte("42 (a (strange) name) S 7 42 42 0 -1 4194304 100 0 0 0 150 50 30 20 20 0 1 0 12345 1000 200 18446744073709551615"))
	require.True(t, ok)
	require.Equal(t, stat{pid: 42, parent: 7, own: 2 * time.Second, reaped: 500 * time.Millisecond}, s)
	for _, bad := range []string{"", "42", "42 (x) S 1 2"} {
		_, ok := parseStat([]byte(bad))
		require.False(t, ok, bad)
	}
}

func TestStolenTimeIsToldBesideAllTime(t *testing.T) {
	t.Parallel()
	stolen, all := parseStolen("cpu  100 20 30 4000 5 6 7 832 90 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	require.Equal(t, 8320*time.Millisecond, stolen)
	require.Equal(t, 50*time.Second, all, "the guests' 90 and 10 are in user and nice already")
	stolen, all = parseStolen("cpu  1 2 3")
	require.Zero(t, stolen)
	require.Zero(t, all)
	if _, err := os.Stat("/proc/stat"); err == nil {
		_, all = Stolen()
		require.Positive(t, all)
	}
}
