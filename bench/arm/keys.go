package arm

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"pasdetrois/pkg/messages"
)

// makeKeys makes a key for each service that signs events, in a folder. It returns the variables of each service.
func makeKeys(folder string, services []string) (map[string][]string, error) {
	var trusted []string
	variables := map[string][]string{}
	for _, service := range messages.Signers() {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		secret, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return nil, err
		}
		known, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(folder, service+".pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
			return nil, fmt.Errorf("write the key of %s: %w", service, err)
		}
		trusted = append(trusted, service+":"+base64.StdEncoding.EncodeToString(known))
		variables[service] = append(variables[service], "EVENT_SIGNING_KEY_FILE="+file)
	}
	for _, service := range services {
		variables[service] = append(variables[service], "EVENT_TRUSTED_KEYS="+strings.Join(trusted, ","))
	}
	return variables, nil
}
