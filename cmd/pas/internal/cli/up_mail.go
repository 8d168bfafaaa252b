package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"pasdetrois/toolbox/hint"
)

// inbox is a Mailpit that runs beside the stack: a mail server that keeps all emails and shows them on a page.
// It is a program of its own, so it can end by itself; `pas up` then continues, and notifications retries its
// emails.
type inbox struct {
	smtp, url string
	cmd       *exec.Cmd
	ended     chan struct{} // closed when the process has ended
}

const (
	// Mailpit's usual ports, and the limit of its start and of its end.
	inboxSMTP, inboxHTTP = 1025, 8025
	inboxTime            = 20 * time.Second
)

// startInbox starts the Mailpit found in PATH and returns when it answers. Its emails are kept in the data
// folder, and its output goes to log.
func startInbox(ctx context.Context, data string, offset int, log io.Writer) (*inbox, error) {
	program, err := exec.LookPath("mailpit")
	if err != nil {
		return nil, hint.Add(errors.New("--mail needs Mailpit, and there is no program mailpit in PATH"),
			"install it (its page is mailpit.axllent.org), or in a clone use `make up MAIL=1`, which builds it; with containers use the compose profile mail")
	}
	address := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset)) }
	// A busy port would otherwise appear as an error in Mailpit's log only.
	for _, port := range []int{inboxSMTP, inboxHTTP} {
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			return nil, hint.Add(fmt.Errorf("port %d, wanted for the inbox, cannot be used: %w", port+offset, err), "--port-offset moves all ports")
		}
		_ = l.Close()
	}
	in := &inbox{smtp: "smtp://" + address(inboxSMTP) + "?tls=none", url: "http://" + address(inboxHTTP), ended: make(chan struct{})}
	in.cmd = exec.Command(program, "--smtp", address(inboxSMTP), "--listen", address(inboxHTTP),
		"--database", filepath.Join(data, "mailpit.db"), "--disable-version-check", "--quiet")
	in.cmd.Stdout, in.cmd.Stderr = log, log
	in.cmd.SysProcAttr = inboxAttributes()
	if err := in.launch(); err != nil {
		return nil, fmt.Errorf("start the inbox: %w", err)
	}
	if err := in.await(ctx); err != nil {
		in.stop()
		return nil, fmt.Errorf("start the inbox: %w", err)
	}
	return in, nil
}

// launch starts the process on a thread of its own, which lives as long as the process. Linux ties the death
// signal to the thread that started the child. A Go thread that ends early would kill Mailpit.
func (in *inbox) launch() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(in.ended)
		err := in.cmd.Start()
		started <- err
		if err == nil {
			_ = in.cmd.Wait()
		}
	}()
	return <-started
}

// await returns when the inbox answers; it fails when the process ends, after inboxTime, or with ctx.
func (in *inbox) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, inboxTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, in.url+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		// A port that became busy in between, or a broken database file, ends Mailpit at once.
		case <-in.ended:
			return errors.New("mailpit ended by itself")
		case <-ctx.Done():
			return errors.New("mailpit does not answer")
		case <-tick.C:
		}
	}
}

// stop ends the inbox with SIGTERM, and kills it after inboxTime. It does nothing for a nil inbox.
func (in *inbox) stop() {
	if in == nil {
		return
	}
	_ = in.cmd.Process.Signal(syscall.SIGTERM)
	patience := time.NewTimer(inboxTime)
	defer patience.Stop()
	select {
	case <-in.ended:
	case <-patience.C:
		_ = in.cmd.Process.Kill()
		<-in.ended
	}
}

// settings sets the variables with which notifications sends to the inbox. No person is flooded by it, so the
// limit of emails to one address is off unless the environment sets one.
func (in *inbox) settings(environ map[string]string) {
	environ["SMTP_URL"] = in.smtp
	if environ["EMAIL_PER_HOUR"] == "" {
		environ["EMAIL_PER_HOUR"] = "0"
	}
}
