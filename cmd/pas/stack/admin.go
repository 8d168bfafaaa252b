package stack

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"pasdetrois/pkg/platform/secretfile"
)

// The settings of the admin APIs that the stack's own client needs, too.
const (
	adminTokens = "ADMIN_TOKEN_FILE"
	adminCert   = "ADMIN_TLS_CERT_FILE"
)

// operate gives the stack's client what the services' admin APIs ask for, as Config.Environ has it. The client trusts the
// services' own certificate: both are in this process.
func (s *Stack) operate() error {
	if path := s.cfg.Environ[adminTokens]; path != "" {
		content, err := secretfile.Read(path)
		if err != nil {
			return &SettingsError{fmt.Errorf("%s: %w", adminTokens, err)}
		}
		if lines := secretfile.Lines(content); len(lines) > 0 {
			s.adminToken = lines[len(lines)-1]
		}
	}
	var over *tls.Config
	if path := s.cfg.Environ[adminCert]; path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return &SettingsError{fmt.Errorf("%s: %w", adminCert, err)}
		}
		over = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		over.RootCAs.AppendCertsFromPEM(content)
	}
	s.client.SetAdmin(s.adminToken, over)
	return nil
}
