package cli

import "syscall"

// inboxAttributes lets the inbox end with us, however we end. Ctrl-C is for us alone: the inbox ends after the services,
// which may still send.
func inboxAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
