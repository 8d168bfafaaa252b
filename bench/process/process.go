// Package process runs the programs that are measured, and reads their processor time and memory. No program
// outlives the benchmark, also when that is killed: on Linux the kernel kills them then.
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

	"pasdetrois/pkg/platform/embedded"
)

// stopTime bounds the end of a program after SIGTERM.
const stopTime = 20 * time.Second

// Spec describes a program to start.
type Spec struct {
	Name string
	Path string
	Args []string
	Env  []string // in addition to PATH and HOME; nothing else is inherited
	Logs string   // the folder of its output: <name>.log
}

// Process is a program that Start has started.
type Process struct {
	Name string
	Log  string // the file of its output

	cmd    *exec.Cmd
	exited chan struct{}
	asked  bool // Stop was called, so the end is no surprise
}

// Start starts a program. It ends with Stop, and on Linux also with this process, however that ends. The
// environment is small and explicit, so that settings of the user's shell change no figure.
func Start(s Spec) (*Process, error) {
	p := &Process{Name: s.Name, Log: filepath.Join(s.Logs, s.Name+".log"), exited: make(chan struct{})}
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	defer out.Close()
	p.cmd = exec.Command(s.Path, s.Args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out // a file, not a pipe: a reader would use processor time during the measurement
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, s.Env...)
	p.cmd.SysProcAttr = embedded.Attributes(syscall.SIGKILL, nil)
	// The kernel ties the death signal to the thread that started the program, so that thread lives as long as the program.
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

// PID returns the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited returns a channel that is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Alive returns nil while the program runs. Afterwards it returns an error with the end of the program's
// output, which usually contains the reason.
func (p *Process) Alive() error {
	select {
	case <-p.exited:
		content, _ := os.ReadFile(p.Log)
		return fmt.Errorf("%s ended by itself (%s): %s", p.Name, p.cmd.ProcessState, tail(string(content)))
	default:
		return nil
	}
}

// tail returns the last 600 bytes of a text, on one line.
func tail(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[max(0, len(text)-600):]
}

// Stop ends the program with SIGTERM. A program that had ended by itself is an error. One that does not end in
// time is killed with its children, and is an error too. A second call returns nil.
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
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTime):
		killGroup(p.PID())
		<-p.exited
		return fmt.Errorf("stop %s: it did not end within %s and was killed", p.Name, stopTime)
	}
}

// killGroup kills a program and its children: each program has a process group of its own.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// StopAll stops programs at the same time and joins their errors. Services that drain wait for each other at
// most once.
func StopAll(all []*Process) error {
	errs := make(chan error, len(all))
	for _, p := range all {
		go func() { errs <- p.Stop() }()
	}
	var joined error
	for range all {
		joined = errors.Join(joined, <-errs)
	}
	return joined
}

// Run runs a program in a folder ("" = this one) to its end and returns its output, standard error included.
// The end of ctx kills its whole group: `go build` has children.
func Run(ctx context.Context, dir string, env []string, path string, args ...string) (string, error) {
	runtime.LockOSThread() // the death signal belongs to this thread, as in Start
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(os.Environ(), env...), time.Second
	cmd.SysProcAttr = embedded.Attributes(syscall.SIGKILL, nil)
	cmd.Cancel = func() error {
		killGroup(cmd.Process.Pid)
		return nil
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return string(out), nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return string(out), fmt.Errorf("%s: %w: %s", filepath.Base(path), err, tail(string(out)))
}
