// Package signingtest makes keys for tests.
package signingtest

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/signing"
)

// Keys are a key of each service that signs.
type Keys struct {
	Files   map[string]string // EVENT_SIGNING_KEY_FILE, by service
	Trusted string            // EVENT_TRUSTED_KEYS
}

// New makes keys in a folder of the test.
func New(t *testing.T) Keys {
	t.Helper()
	k := Keys{Files: map[string]string{}}
	for _, service := range messages.Signers() {
		public, private, err := ed25519.GenerateKey(nil)
		require.NoError(t, err)
		der, err := x509.MarshalPKCS8PrivateKey(private)
		require.NoError(t, err)
		k.Files[service] = filepath.Join(t.TempDir(), service+".pem")
		require.NoError(t, os.WriteFile(k.Files[service], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
		der, err = x509.MarshalPKIXPublicKey(public)
		require.NoError(t, err)
		k.Trusted += service + ":" + base64.StdEncoding.EncodeToString(der) + "\n"
	}
	return k
}

// Signer returns the signer of a service.
func (k Keys) Signer(t *testing.T, service string) *signing.Signer {
	t.Helper()
	s, err := signing.Settings{KeyFile: k.Files[service]}.Signer(service)
	require.NoError(t, err)
	return s
}

// Keys returns the trusted keys.
func (k Keys) Keys(t *testing.T) *signing.Keys {
	t.Helper()
	keys, err := signing.ParseKeys(k.Trusted)
	require.NoError(t, err)
	return keys
}

// Environ returns the settings of all services, and those of each service that signs.
func (k Keys) Environ() (all map[string]string, each map[string]map[string]string) {
	each = map[string]map[string]string{}
	for service, file := range k.Files {
		each[service] = map[string]string{"EVENT_SIGNING_KEY_FILE": file}
	}
	return map[string]string{"EVENT_TRUSTED_KEYS": k.Trusted}, each
}
