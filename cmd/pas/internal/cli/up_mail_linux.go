package cli

import "syscall"

// inboxAttributes makes the kernel end the inbox with this process, also after a SIGKILL. A process group of
// its own keeps Ctrl-C away from it: the inbox must end after the services, which may still send.
func inboxAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
