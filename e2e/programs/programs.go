// Package programs builds the services' programs for tests, and finds addresses for them.
package programs

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"pasdetrois/bench/arm"
)

// Root is the repository's root, from the folder of a test that is two levels below it.
const Root = "../.."

// Build builds the services and more packages, and returns the folder they are in.
func Build(t testing.TB, more ...string) string {
	t.Helper()
	bin := t.TempDir()
	if err := arm.BuildServices(t.Context(), Root, bin, more...); err != nil {
		t.Fatal(err)
	}
	return bin
}

// Tool builds pas and returns its path.
func Tool(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pas")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/pas")
	cmd.Dir = Root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build pas: %v: %s", err, out)
	}
	return path
}

// Logs makes a folder for the programs' output. It is removed when the test passes, and stays otherwise.
func Logs(t testing.TB) string {
	t.Helper()
	logs, err := os.MkdirTemp("", "pasdetrois-logs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the services' logs are in %s", logs)
			return
		}
		_ = os.RemoveAll(logs)
	})
	return logs
}

// FreeAddresses finds n ports on loopback. They are below those of outgoing connections, so no connection takes a service's
// port while the service is down.
func FreeAddresses(t testing.TB, n int) []string {
	t.Helper()
	var found []string
	for port := 14000 + os.Getpid()%4000; len(found) < n && port < 19000; port++ {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if l, err := net.Listen("tcp", address); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			found = append(found, address)
		}
	}
	if len(found) < n {
		t.Fatalf("%d ports are free, %d are needed", len(found), n)
	}
	return found
}
