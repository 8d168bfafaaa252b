package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
)

const (
	oldAdminToken = "0123456789abcdef0123456789abcdef"
	newAdminToken = "fedcba9876543210fedcba9876543210"
)

// certified returns the files of a certificate and of its key. A nil signer makes an authority.
func certified(t *testing.T, name string, signer *tls.Certificate) (certFile, keyFile string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: signer == nil,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	parent, by := template, any(key)
	if signer != nil {
		parent, err = x509.ParseCertificate(signer.Certificate[0])
		require.NoError(t, err)
		by = signer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	require.NoError(t, err)
	raw, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600))
	pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)
	return certFile, keyFile, pair
}

// operations returns the operations of an OpenAPI document, each as a method and a path without parameters.
func operations(t *testing.T, document []byte) (found [][2]string) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(document, &doc))
	param := regexp.MustCompile(`\{[^}]+\}`)
	for path, methods := range doc.Paths {
		for method := range methods {
			found = append(found, [2]string{strings.ToUpper(method), param.ReplaceAllString(path, "987654")})
		}
	}
	slices.SortFunc(found, func(a, b [2]string) int { return strings.Compare(a[1]+a[0], b[1]+b[0]) })
	return found
}

// Each operation of each admin API, asked by each kind of caller. The documents name the operations, so a new one is asked too.
func TestWhoMayUseTheAdminAPIs(t *testing.T) {
	t.Parallel()
	ca, _, authority := certified(t, "authority", nil)
	_, _, otherAuthority := certified(t, "authority", nil)
	cert, key, _ := certified(t, "admin", &authority)
	_, _, ada := certified(t, "ada", &authority)
	_, _, eve := certified(t, "ada", &otherAuthority)
	tokens := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(tokens, []byte(oldAdminToken+"\n"+newAdminToken+"\n"), 0o600))
	s, err := stack.Start(t.Context(), stack.Config{Environ: map[string]string{"ADMIN_TOKEN_FILE": tokens, "ADMIN_TLS_CERT_FILE": cert,
		"ADMIN_TLS_KEY_FILE": key, "ADMIN_TLS_CLIENT_CA": ca}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	trusted := x509.NewCertPool()
	content, err := os.ReadFile(ca)
	require.NoError(t, err)
	require.True(t, trusted.AppendCertsFromPEM(content))

	// ask returns 0 when the handshake fails.
	ask := func(method, url, token string, cert *tls.Certificate) (status int, answer []byte) {
		t.Helper()
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}
		if cert != nil { // given in any case: a client usually leaves out a certificate that the server would not accept
			transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
		}
		r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		require.NoError(t, err)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		got, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			return 0, nil
		}
		defer func() { require.NoError(t, got.Body.Close()) }()
		answer, err = io.ReadAll(got.Body)
		require.NoError(t, err)
		return got.StatusCode, answer
	}
	callers := map[string]struct {
		token string
		cert  *tls.Certificate
		want  int // 401, 0 for a handshake that fails, 1 for an operator
	}{
		"nobody": {"", nil, 401}, "wrong token": {"ffffffffffffffffffffffffffffffff", nil, 401}, "old token": {oldAdminToken, nil, 1},
		"new token": {newAdminToken, nil, 1}, "certificate": {"", &ada, 1}, "certificate of another authority": {"", &eve, 0},
		"token and certificate of another authority": {newAdminToken, &eve, 0},
	}
	asked := map[string]bool{}
	for _, service := range messages.Services() {
		admin := s.Client().Endpoint(service).Admin
		status, document := ask(http.MethodGet, admin+"/openapi.json", newAdminToken, nil)
		require.Equal(t, http.StatusOK, status)
		all := append(operations(t, document), [][2]string{{"GET", "/openapi.json"}, {"GET", "/docs"}, {"GET", "/debug/pprof/"}, {"GET", "/debug/pprof/heap"}, {"GET", "/nothing"}, {"DELETE", "/metrics/"}, {"OPTIONS", "/consumers"}}...)
		for _, op := range all {
			asked[op[0]+" "+op[1]] = true
			for name, c := range callers {
				status, _ := ask(op[0], admin+op[1], c.token, c.cert)
				if c.want == 1 {
					require.NotContains(t, []int{0, 401, 403, 500}, status, "%s %s %s by %s", service, op[0], op[1], name)
				} else {
					require.Equal(t, c.want, status, "%s %s %s by %s", service, op[0], op[1], name)
				}
			}
		}
		for _, open := range []string{"/livez", "/readyz", "/metrics"} {
			status, _ := ask(http.MethodGet, admin+open, "", nil)
			require.Equal(t, http.StatusOK, status, open)
		}
	}
	for _, op := range []string{"GET /audit-log", "POST /consumers/pause", "POST /dead-letters/987654/discard", "PUT /inventory/987654", "POST /emails/987654/retry"} {
		require.True(t, asked[op], "the documents name %s", op)
	}
	entries, err := s.Client().AuditLog(t.Context(), messages.ServiceOrders, "", 0)
	require.NoError(t, err)
	actors := map[string]bool{}
	for _, e := range entries {
		actors[e.Actor] = true
		require.Equal(t, "127.0.0.1", e.Address)
	}
	require.Len(t, actors, 3, "%v", actors)
	require.True(t, actors["certificate:CN=ada"])
}
