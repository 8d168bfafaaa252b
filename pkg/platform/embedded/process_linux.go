package embedded

import "syscall"

// processAttributes lets the child end with us, however we end. It gets no terminal signals: Ctrl-C is ours to pass on.
func processAttributes(who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGINT, Setpgid: true}
}
