//go:build !linux

package embedded

import "syscall"

// Attributes are those of a child process. It gets no signals of the terminal: this process passes Ctrl-C on. who is the
// user of the child; nil = this process's. No signal on the end of this process is known here.
func Attributes(_ syscall.Signal, who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who, Setpgid: true}
}
