// Package process runs the programs that are measured, and reads what they cost. A program never outlives the benchmark.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// stopTime is how long a program may take to end when asked to, before it is killed.
const stopTime = 20 * time.Second

// Process is a running program.
type Process struct {
	Name string
	Log  string // the file that its output goes to

	cmd    *exec.Cmd
	exited chan struct{}
	asked  bool
}

// Spec says what to start.
type Spec struct {
	Name string
	Path string
	Args []string
	Env  []string // beside PATH and HOME
	Dir  string   // "" = here
	Logs string   // the folder of its output: <name>.log
}

// Start starts a program. It ends with Stop, and with this process however that ends (on Linux).
func Start(s Spec) (*Process, error) {
	p := &Process{Name: s.Name, Log: filepath.Join(s.Logs, s.Name+".log"), exited: make(chan struct{})}
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	defer out.Close()
	// A file, not a pipe: nobody has to read along while the clock runs.
	p.cmd = exec.Command(s.Path, s.Args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = s.Dir, out, out
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, s.Env...)
	p.cmd.SysProcAttr = attributes()
	// On a thread of its own, which lives as long as the program: the kernel ties the death signal to that thread.
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.exited)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	return p, nil
}

// PID is the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Alive returns an error with the end of its output when the program has ended by itself.
func (p *Process) Alive() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended by itself (%s): %s", p.Name, p.cmd.ProcessState, p.Tail())
	default:
		return nil
	}
}

// Tail returns the last lines of the program's output, on one line.
func (p *Process) Tail() string {
	const most = 600
	content, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	text := strings.Join(strings.Fields(string(content)), " ")
	return text[max(0, len(text)-most):]
}

// Stop ends the program: SIGTERM, and SIGKILL when that takes too long, which is an error. Safe to call twice.
func (p *Process) Stop() error {
	select {
	case <-p.exited:
		if p.asked {
			return nil
		}
		return p.Alive()
	default:
	}
	p.asked = true
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
		killGroup(p.cmd.Process.Pid)
		<-p.exited
		return fmt.Errorf("stop %s: it did not end within %s and was killed", p.Name, stopTime)
	}
}

// StopAll stops programs at the same time.
func StopAll(all []*Process) error {
	errs := make([]error, len(all))
	done := make(chan struct{})
	for i, p := range all {
		go func() {
			errs[i] = p.Stop()
			done <- struct{}{}
		}()
	}
	for range all {
		<-done
	}
	return errors.Join(errs...)
}

// Run runs a program to its end and returns what it wrote.
func Run(ctx context.Context, dir string, env []string, path string, args ...string) (string, error) {
	runtime.LockOSThread() // see Start
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error {
		killGroup(cmd.Process.Pid)
		return nil
	}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		text := strings.TrimSpace(string(out))
		return string(out), fmt.Errorf("%s: %w: %s", filepath.Base(path), err, text[max(0, len(text)-600):])
	}
	return string(out), nil
}
