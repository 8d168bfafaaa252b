//go:build !linux

package cli

import "syscall"

func inboxAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
