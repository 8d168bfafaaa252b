//go:build crash

package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/toolbox/client"
)

// process is a service that is started again as soon as it was killed.
type process struct {
	name     string
	path     string
	env      []string
	out      *os.File // its log, of all its lives
	errs     *os.File // what it says beside its log: nothing, unless it panics
	endpoint client.Endpoint

	mu     sync.Mutex
	life   *exec.Cmd
	killed bool
	gone   chan struct{} // closed when the present life has ended
	kills  int
	// suicide is an end that nobody asked for. It is not followed by a start.
	suicide error
}

func newProcess(t *testing.T, name, bin, logs, public, admin string, env []string) *process {
	t.Helper()
	p := &process{name: name, path: filepath.Join(bin, name)}
	p.endpoint = client.Endpoint{Public: "http://" + public, Admin: "http://" + admin}
	p.env = append([]string{"PATH=" + os.Getenv("PATH"), "HTTP_ADDR=" + public, "ADMIN_ADDR=" + admin}, env...)
	for suffix, file := range map[string]**os.File{".log": &p.out, ".err": &p.errs} {
		f, err := os.OpenFile(filepath.Join(logs, name+suffix), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })
		*file = f
	}
	t.Cleanup(func() { _ = p.end() })
	return p
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Files, not pipes: what it wrote before it was killed is kept whoever reads, and whenever.
	cmd := exec.Command(p.path)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, p.out, p.errs
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.life, p.killed, p.gone = cmd, false, make(chan struct{})
	go p.await(cmd, p.gone)
	return nil
}

func (p *process) await(cmd *exec.Cmd, gone chan struct{}) {
	defer close(gone)
	err := cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed {
		p.suicide = fmt.Errorf("%s ended by itself: %w", p.name, errors.Join(err, errors.New(cmd.ProcessState.String())))
	}
}

// end sends SIGKILL and returns when the process is gone.
func (p *process) end() error {
	p.mu.Lock()
	if p.life == nil || p.suicide != nil {
		defer p.mu.Unlock()
		return p.suicide
	}
	p.killed = true
	gone := p.gone
	err := p.life.Process.Kill()
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-gone
	return nil
}

// kill ends the processes at once and starts them again at once.
func kill(processes ...*process) error {
	var wg sync.WaitGroup
	errs := make([]error, len(processes))
	for i, p := range processes {
		wg.Go(func() {
			p.kills++
			if errs[i] = p.end(); errs[i] == nil {
				errs[i] = p.start()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// alive returns the end that nobody asked for, if there was one.
func (p *process) alive() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.suicide
}
