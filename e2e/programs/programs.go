// Package programs builds the services' programs for tests, and finds addresses for them.
package programs

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"pasdetrois/pkg/messages"
)

// Root is the repository's root, from the folder of a test that is two levels below it.
const Root = "../.."

// Build builds the services and returns the folder they are in.
func Build(t testing.TB) string {
	t.Helper()
	bin := t.TempDir()
	args := []string{"build", "-o", bin + string(filepath.Separator)}
	for _, name := range messages.Services() {
		args = append(args, "./services/"+name+"/cmd/"+name)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = Root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the services: %v: %s", err, out)
	}
	return bin
}

// Logs makes a folder for what programs write. It is removed when the test passed, and kept otherwise.
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

// FreeAddresses finds n ports on loopback. The system gives higher ones to outgoing connections: none of those may sit on
// a service's address while the service is dead.
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
