package cli_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
)

// What this program is when it is not the tests: one that starts an inbox at a port offset, and the mailpit that is one.
const (
	asParent  = "PAS_TEST_INBOX_OFFSET"
	asMailpit = "mailpit"
)

// otherProgram never returns when this process is to be one of these.
func otherProgram() {
	if filepath.Base(os.Args[0]) == asMailpit {
		listen := os.Args[slices.Index(os.Args, "--listen")+1]
		fmt.Fprintln(os.Stderr, http.ListenAndServe(listen, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		os.Exit(1)
	}
	if offset, err := strconv.Atoi(os.Getenv(asParent)); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		started := make(chan error)
		go func() {
			runtime.LockOSThread() // and never unlock: the thread ends with the goroutine, and the inbox must not
			started <- cli.StartInbox(ctx, os.TempDir(), offset)
		}()
		fmt.Println(<-started)
		cancel()
		select {} // until it is killed
	}
}

// A pas that is killed takes its inbox along, whose ports the next one needs. On other systems the inbox outlives it.
func TestTheInboxEndsWithAProcessThatIsKilled(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(bin, asMailpit)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().(*net.TCPAddr)
	require.NoError(t, l.Close())

	parent := exec.Command(self)
	parent.Env = append(os.Environ(), asParent+"="+strconv.Itoa(address.Port-8025), "PATH="+bin)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	t.Cleanup(func() { _ = parent.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "<nil>\n", line)
	answers := func() bool {
		conn, err := net.Dial("tcp", address.String())
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
	require.True(t, answers())
	require.Never(t, func() bool { return !answers() }, 300*time.Millisecond, 20*time.Millisecond, "it ended with the thread that started it")

	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	require.Eventually(t, func() bool { return !answers() }, 30*time.Second, 20*time.Millisecond)
}
