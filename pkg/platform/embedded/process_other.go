//go:build !linux

package embedded

import "syscall"

// Attributes returns the attributes of a child process. The child gets no signals of the terminal: this process passes Ctrl-C on.
// who is the user of the child; nil = this process's. Only Linux has a signal on the end of a parent, so a child may outlive a
// process that is killed.
func Attributes(_ syscall.Signal, who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who, Setpgid: true}
}
