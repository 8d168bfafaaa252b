package adminauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/adminauth"
	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/httpx"
)

const (
	oldToken     = "0123456789abcdef0123456789abcdef"
	newToken     = "fedcba9876543210fedcba9876543210"
	metricsToken = "00000000000000000000000000metrics"
	wrongToken   = "ffffffffffffffffffffffffffffffff"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	path string // of its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert = &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.path, _, a.key = a.sign(a.cert)
	return a
}

// sign returns the files of a certificate and its key. Without a key of its own the authority signs itself.
func (a *authority) sign(template *x509.Certificate) (certPath, keyPath string, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.NotBefore = template.NotAfter.Add(-2 * time.Hour)
	signer, by := a.key, a.cert
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, &key.PublicKey, signer)
	require.NoError(a.t, err)
	raw, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	return write(a.t, pemOf("CERTIFICATE", der)), write(a.t, pemOf("EC PRIVATE KEY", raw)), key
}

func (a *authority) server() (certPath, keyPath string) {
	certPath, keyPath, _ = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "admin"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return certPath, keyPath
}

func (a *authority) client(name string, change ...func(*x509.Certificate)) tls.Certificate {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, f := range change {
		f(template)
	}
	certPath, keyPath, _ := a.sign(template)
	pair, err := tls.LoadX509KeyPair(certPath, keyPath)
	require.NoError(a.t, err)
	return pair
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// server is an admin server behind a guard. Each answer says who the guard took the caller for.
type server struct {
	t   *testing.T
	url string
	ca  *authority
	log *lines
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text []byte
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, line...)
	return len(line), nil
}

func (l *lines) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(string(l.text), part)
}

func serve(t *testing.T, s adminauth.Settings, ca *authority) *server {
	t.Helper()
	require.NoError(t, s.Validate())
	log := &lines{}
	guard, err := adminauth.New(s, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, auditlog.Of(r.Context()).Name) })
	health := httpx.NewHealth(httpx.Check{Name: "database", Run: func(context.Context) error { return io.ErrUnexpectedEOF }})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	handler := guard.Wrap(health.Mount(who, registry()))
	go func() { ended <- serveHTTP(ctx, guard.Listener(l), handler) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	scheme := "http"
	if s.TLS() {
		scheme = "https"
	}
	return &server{t: t, url: scheme + "://" + l.Addr().String(), ca: ca, log: log}
}

// caller is somebody who asks.
type caller struct {
	headers []string // Authorization
	cert    *tls.Certificate
}

func with(token string) caller { return caller{headers: []string{"Bearer " + token}} }

// ask returns the status, or 0 when the handshake failed, and the body.
func (s *server) ask(path string, by caller) (status int, body string, header http.Header) {
	s.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	if s.ca != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		transport.TLSClientConfig.RootCAs.AddCert(s.ca.parsed())
		if by.cert != nil {
			transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return by.cert, nil }
		}
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	require.NoError(s.t, err)
	r.Header["Authorization"] = by.headers
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		require.True(s.t, strings.Contains(err.Error(), "remote error: tls: ") || strings.Contains(err.Error(), "connection reset") ||
			strings.Contains(err.Error(), "broken pipe"), err)
		return 0, "", nil
	}
	defer func() { require.NoError(s.t, answer.Body.Close()) }()
	content, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer.StatusCode, string(content), answer.Header
}

func (a *authority) parsed() *x509.Certificate {
	content, err := os.ReadFile(a.path)
	require.NoError(a.t, err)
	block, _ := pem.Decode(content)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(a.t, err)
	return cert
}
