package embedded

import "syscall"

// Attributes are those of a child process. It gets the signal death when this process ends, however it ends. It gets no
// signals of the terminal: this process passes Ctrl-C on. who is the user of the child; nil = this process's.
func Attributes(death syscall.Signal, who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who, Pdeathsig: death, Setpgid: true}
}
