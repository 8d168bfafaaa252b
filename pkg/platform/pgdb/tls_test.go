package pgdb_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

// authority signs certificates of servers.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	path string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &authority{t, cert, key, path}
}

// sign returns the certificate and the key of a server of that name.
func (a *authority) sign(name string) (cert, key []byte) {
	a.t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}, a.cert, own.Public(), a.key)
	require.NoError(a.t, err)
	raw, err := x509.MarshalECPrivateKey(own)
	require.NoError(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}

// Only verify-full makes sure that the password goes to the server that was meant.
func TestVerifyFullChecksWhoseCertificateTheServerHas(t *testing.T) {
	t.Parallel()
	server, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	admin, err := pgx.Connect(t.Context(), server.AdminURL("postgres"))
	require.NoError(t, err)
	defer admin.Close(context.Background())
	var data string
	require.NoError(t, admin.QueryRow(t.Context(), `SHOW data_directory`).Scan(&data))
	info, err := os.Stat(data)
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	right, other := newAuthority(t), newAuthority(t)
	cert, key := right.sign("localhost")
	for name, content := range map[string][]byte{"server.crt": cert, "server.key": key} {
		path := filepath.Join(data, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		require.NoError(t, os.Chown(path, int(owner.Uid), int(owner.Gid)))
	}
	for _, statement := range []string{`ALTER SYSTEM SET ssl = on`, `SELECT pg_reload_conf()`} {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	tries := func(host string, options url.Values) (encrypted bool, err error) {
		u, err := url.Parse(server.AdminURL("postgres"))
		require.NoError(t, err)
		u.Host, u.RawQuery = host+":"+u.Port(), options.Encode()
		pool, err := pgdb.Open(pgdb.Config{URL: u.String(), AppName: "test"})
		require.NoError(t, err)
		defer pool.Close()
		err = pool.QueryRow(t.Context(), `SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`).Scan(&encrypted)
		return encrypted, err
	}
	testkit.Eventually(t, func() error { // the server takes its new settings when it likes
		_, err := tries("localhost", url.Values{"sslmode": {"require"}})
		return err
	})

	for _, c := range []struct {
		host    string
		options url.Values
		refused string
	}{
		{"localhost", url.Values{"sslmode": {"verify-full"}, "sslrootcert": {right.path}}, ""},
		{"localhost", url.Values{"sslmode": {"verify-full"}, "sslrootcert": {other.path}}, "certificate signed by unknown authority"},
		{"localhost", url.Values{"sslmode": {"verify-full"}}, "certificate signed by unknown authority"}, // the machine's authorities
		{"127.0.0.1", url.Values{"sslmode": {"verify-full"}, "sslrootcert": {right.path}}, "cannot validate certificate for 127.0.0.1"},
		{"127.0.0.1", url.Values{"sslmode": {"verify-ca"}, "sslrootcert": {right.path}}, ""}, // any server of the authority
		{"127.0.0.1", url.Values{"sslmode": {"require"}}, ""},                                // any server at all
	} {
		encrypted, err := tries(c.host, c.options)
		if c.refused != "" {
			require.ErrorContains(t, err, c.refused, "%s %v", c.host, c.options)
			continue
		}
		require.NoError(t, err, "%s %v", c.host, c.options)
		require.True(t, encrypted)
	}
}
