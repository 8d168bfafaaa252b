package run_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

// process is the service shop in a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
}

func launch(t *testing.T, environ ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{t, exec.Command(self), make(chan string, 100)}
	p.cmd.Env = append(append(os.Environ(), asService+"=1", "DATABASE_URL=x"), environ...)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	p.says("running")
	return p
}

// says waits for a line with the message.
func (p *process) says(msg string) {
	p.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			require.True(p.t, ok, "it ended without saying %q", msg)
			if strings.Contains(line, `"msg":"`+msg+`"`) {
				return
			}
		case <-limit:
			require.FailNow(p.t, "it did not say "+msg)
		}
	}
}

// end calls again until the process has ended.
func (p *process) end(again func()) syscall.WaitStatus {
	p.t.Helper()
	ended := make(chan error, 1)
	go func() {
		for range p.lines {
		}
		ended <- p.cmd.Wait()
	}()
	testkit.Eventually(p.t, func() error {
		again()
		select {
		case <-ended:
			return nil
		default:
			return errors.New("it still runs")
		}
	})
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

func TestASignalDrainsStageByStageAndExitsWithZero(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := launch(t)
		require.NoError(t, p.cmd.Process.Signal(signal))
		p.says("consumer stopped")
		p.says("relay stopped")
		p.says("stopped")
		status := p.end(func() {})
		require.True(t, status.Exited(), signal)
		require.Equal(t, 0, status.ExitStatus(), signal)
	}
}

func TestAnotherSignalEndsADrainThatHangs(t *testing.T) {
	t.Parallel()
	p := launch(t, "PATIENCE=1h")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.says("consumer stopped")
	status := p.end(func() { _ = p.cmd.Process.Signal(syscall.SIGTERM) })
	require.True(t, status.Signaled())
	require.Equal(t, syscall.SIGTERM, status.Signal())
}
