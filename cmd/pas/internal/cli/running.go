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

// upFile is the file with the URL of the database of a `pas up` in the usual folder. The database's port
// differs each time, so other commands in the same working folder read it here.
const upFile = "pas-data/up.json"

// running is the content of that file. The URL is the auditor's, who may not write.
type running struct {
	AuditURL   string `json:"audit_database_url"`
	AdminToken string `json:"admin_token"` // of the services' admin APIs
}

// remember writes the file and returns a function that removes it. A failed write is no error: then other
// commands need the URL in their environment. The file contains secrets, so only its owner may read it.
func remember(path string, s *stack.Stack) (forget func()) {
	content, err := json.Marshal(running{AuditURL: s.AuditorURL(), AdminToken: s.AdminToken()})
	if err != nil || os.WriteFile(path, content, 0o600) != nil {
		return func() {}
	}
	return func() { _ = os.Remove(path) }
}

// runningHere returns the auditor's URL of the system that runs in this folder; it is "" when none does. A
// killed system leaves its file: then the URL leads nowhere, and the command fails to connect.
func runningHere() string {
	return readRunning(upFile).AuditURL
}

// readRunning returns the content of the file; a missing or broken file is an empty one.
func readRunning(path string) running {
	content, err := os.ReadFile(path)
	var r running
	if err != nil || json.Unmarshal(content, &r) != nil {
		return running{}
	}
	return r
}

// runsIn reports whether a system runs with its data in the folder. The file alone is no proof, since a killed
// system leaves it; so its Postgres must accept a connection as well.
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
