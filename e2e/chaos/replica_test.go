//go:build chaos

package chaos

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"pasdetrois/bench/process"
)

// restartPause is how long a supervisor waits before it starts a process again.
const restartPause = time.Second

// replica is one process of a service under a supervisor.
type replica struct {
	service       string
	public, admin string // addresses
	spec          process.Spec

	mu     sync.Mutex
	life   *process.Process
	killed bool     // we ended its present life
	ends   []string // ends that nobody asked for
	peak   int64    // the most memory that was seen resident, bytes

	stop chan struct{} // closed when it shall not start again
	done chan struct{} // closed when the supervisor has ended
}

// start starts the supervisor. stop must be closed before awaiting done.
func (r *replica) start() error {
	r.stop, r.done = make(chan struct{}), make(chan struct{})
	if err := r.launch(); err != nil {
		return err
	}
	go r.supervise()
	return nil
}

func (r *replica) launch() error {
	life, err := process.Start(r.spec)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.life, r.killed = life, false
	return nil
}

func (r *replica) supervise() {
	defer close(r.done)
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			r.weigh()
			continue
		case <-r.stop:
			return
		case <-r.current().Exited():
		}
		r.noteEnd()
		timer := time.NewTimer(restartPause)
		select {
		case <-r.stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		if err := r.launch(); err != nil {
			r.mu.Lock()
			r.ends = append(r.ends, err.Error())
			r.mu.Unlock()
			return
		}
	}
}

func (r *replica) current() *process.Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.life
}

func (r *replica) weigh() {
	resident := process.Resident(r.current().PID())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peak = max(r.peak, resident)
}

func (r *replica) noteEnd() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.killed {
		r.ends = append(r.ends, r.life.Alive().Error())
	}
}

// kill ends the present life with SIGKILL, and reports whether there was one to end.
func (r *replica) kill() (hit bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.life.Exited():
		return false, nil
	default:
	}
	r.killed = true
	return true, r.signal(syscall.SIGKILL)
}

// signal needs the lock.
func (r *replica) signal(s syscall.Signal) error {
	if err := syscall.Kill(r.life.PID(), s); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("send %s to %s: %w", s, r.spec.Name, err)
	}
	return nil
}

// freeze stops the process in the middle of its work; thaw lets it go on.
func (r *replica) freeze() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signal(syscall.SIGSTOP)
}

func (r *replica) thaw() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signal(syscall.SIGCONT)
}

// end ends supervisor and process.
func (r *replica) end() {
	if r.stop == nil {
		return
	}
	close(r.stop)
	<-r.done
	_ = r.thaw()
	_, _ = r.kill()
	<-r.current().Exited()
}

// said returns the end of its log.
func (r *replica) said() string {
	content, err := os.ReadFile(r.current().Log)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-2000):])
}
