package cli

import (
	"encoding/json"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"pasdetrois/cmd/pas/stack"
)

// upFile is where a "pas up" with its data in the usual folder says where its database is: the port is another one each
// time.
const upFile = "pas-data/up.json"

// running is what the file says.
type running struct {
	AuditURL string `json:"audit_database_url"`
}

// remember writes the file for as long as the system runs. Without it, other commands need the URL.
func remember(path string, s *stack.Stack) (forget func()) {
	content, err := json.Marshal(running{AuditURL: s.AuditorURL()})
	if err != nil || os.WriteFile(path, content, 0o600) != nil {
		return func() {}
	}
	return func() { _ = os.Remove(path) }
}

// runningHere returns the auditor's URL of the system that runs with its data in the usual folder, "" when none does.
func runningHere() string {
	return readRunning(upFile).AuditURL
}

func readRunning(path string) running {
	content, err := os.ReadFile(path)
	var r running
	if err != nil || json.Unmarshal(content, &r) != nil {
		return running{}
	}
	return r
}

// runsIn tells whether a system runs with its data in the folder. One that was killed left its file, and nobody answers.
func runsIn(data string) bool {
	u, err := url.Parse(readRunning(filepath.Join(data, filepath.Base(upFile))).AuditURL)
	if err != nil || u.Host == "" {
		return false
	}
	conn, err := net.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
