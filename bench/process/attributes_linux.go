package process

import "syscall"

// attributes let a child end with us, however we end, and keep the terminal's Ctrl-C from it: that is ours to pass on.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
