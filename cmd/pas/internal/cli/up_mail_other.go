//go:build !linux

package cli

import "syscall"

// inboxAttributes keeps Ctrl-C away from the inbox. Without a death signal, a killed `pas up` leaves it
// running.
func inboxAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
