package embedded

import "syscall"

// Attributes returns the attributes of a child process. The child gets the signal death when this process ends, however it ends.
// It gets no signals of the terminal: this process passes Ctrl-C on. who is the user of the child; nil = this process's.
//
// The kernel sends death when the thread that started the child ends, so the caller must keep that thread.
func Attributes(death syscall.Signal, who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who, Pdeathsig: death, Setpgid: true}
}
