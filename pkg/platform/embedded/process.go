package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// command returns a command of the server's installation. It runs in dir as who, in English and in UTC, so its messages are the
// same everywhere.
func command(ctx context.Context, path, dir string, who *syscall.Credential, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = Attributes(syscall.SIGINT, who)
	return cmd
}

// unprivileged returns the user for the server: nil means this process's own.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, candidate := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(candidate)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("postgres does not run as root, and there is no user postgres or nobody to run it as")
}

func name(who *syscall.Credential) string {
	if who == nil {
		return "this user"
	}
	return "uid " + strconv.Itoa(int(who.Uid))
}

// freePort returns a port that was free a moment ago. Nothing reserves it, so the caller must be ready for another program on it.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
