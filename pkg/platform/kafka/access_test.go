package kafka_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/kafka"
)

const (
	noLogin = " is set, and KAFKA_SECURITY_PROTOCOL PLAINTEXT does not log in: set it to SASL_SSL or SASL_PLAINTEXT"
	noTLS   = " is set, and KAFKA_SECURITY_PROTOCOL PLAINTEXT uses no TLS: set it to SSL or SASL_SSL"
)

func TestSettingsThatFitTogether(t *testing.T) {
	t.Parallel()
	cert, key := pair(t)
	for name, s := range map[string]kafka.Access{
		"nothing":       {},
		"plaintext":     {Protocol: kafka.Plaintext},
		"tls":           {Protocol: kafka.SSL},
		"own authority": {Protocol: kafka.SSL, CA: cert, ServerName: "kafka"},
		"mutual":        {Protocol: kafka.SSL, Cert: cert, Key: key},
		"plain":         {Protocol: kafka.SASLPlaintext, Mechanism: kafka.Plain, Username: "u", Password: "p"},
		"scram 256":     {Protocol: kafka.SASLSSL, Mechanism: kafka.ScramSHA256, Username: "u", Password: "p"},
		"scram 512":     {Protocol: kafka.SASLSSL, Mechanism: kafka.ScramSHA512, Username: "u", Password: "p"},
		"oauth": {Protocol: kafka.SASLSSL, Mechanism: kafka.OAuthBearer, TokenURL: "https://login/token", ClientID: "c", ClientSecret: "s",
			Extensions: []string{"logicalCluster=lkc-1", " pool=p=1"}},
		"oauth without tls": {Protocol: kafka.SASLPlaintext, Mechanism: kafka.OAuthBearer, TokenURL: "https://login/token", ClientID: "c", ClientSecret: "s",
			CA: cert},
	} {
		require.NoError(t, s.Validate(), name)
	}
}

func TestEveryProblemNamesItsVariableAndWhatIsAllowed(t *testing.T) {
	t.Parallel()
	cert, key := pair(t)
	_, otherKey := pair(t)
	for name, c := range map[string]struct {
		settings kafka.Access
		want     []string
	}{
		"unknown protocol": {kafka.Access{Protocol: "TLS", Mechanism: "x"},
			[]string{`KAFKA_SECURITY_PROTOCOL: "TLS" is not one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL`}},
		"no mechanism": {kafka.Access{Protocol: kafka.SASLSSL},
			[]string{"KAFKA_SASL_MECHANISM is empty: KAFKA_SECURITY_PROTOCOL SASL_SSL needs one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"}},
		"unknown mechanism": {kafka.Access{Protocol: kafka.SASLPlaintext, Mechanism: "GSSAPI"},
			[]string{`KAFKA_SASL_MECHANISM: "GSSAPI" is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER`}},
		"no user and no password": {kafka.Access{Protocol: kafka.SASLPlaintext, Mechanism: kafka.Plain}, []string{
			"KAFKA_SASL_USERNAME is empty: KAFKA_SASL_MECHANISM PLAIN needs it (or KAFKA_SASL_USERNAME_FILE)",
			"KAFKA_SASL_PASSWORD is empty: KAFKA_SASL_MECHANISM PLAIN needs it (or KAFKA_SASL_PASSWORD_FILE)"}},
		"no client": {kafka.Access{Protocol: kafka.SASLPlaintext, Mechanism: kafka.OAuthBearer, TokenURL: "login", Extensions: []string{"x"}}, []string{
			"KAFKA_OAUTH_CLIENT_ID is empty: KAFKA_SASL_MECHANISM OAUTHBEARER needs it (or KAFKA_OAUTH_CLIENT_ID_FILE)",
			"KAFKA_OAUTH_CLIENT_SECRET is empty: KAFKA_SASL_MECHANISM OAUTHBEARER needs it (or KAFKA_OAUTH_CLIENT_SECRET_FILE)",
			"KAFKA_OAUTH_TOKEN_URL is not a URL such as https://login.example.com/oauth2/token",
			`KAFKA_OAUTH_EXTENSIONS: "x" is not NAME=VALUE`}},
		"a login that would not be used": {kafka.Access{Mechanism: kafka.Plain, Username: "u", Password: "p"},
			[]string{"KAFKA_SASL_MECHANISM" + noLogin, "KAFKA_SASL_USERNAME" + noLogin, "KAFKA_SASL_PASSWORD" + noLogin}},
		"certificates that would not be used": {kafka.Access{CA: cert, Cert: cert, Key: key, ServerName: "kafka"},
			[]string{"KAFKA_TLS_CA" + noTLS, "KAFKA_TLS_CERT" + noTLS, "KAFKA_TLS_KEY" + noTLS, "KAFKA_TLS_SERVER_NAME" + noTLS}},
		"a certificate without its key": {kafka.Access{Protocol: kafka.SSL, Cert: cert},
			[]string{"KAFKA_TLS_KEY is empty: KAFKA_TLS_CERT needs it (or KAFKA_TLS_KEY_FILE)"}},
		"a key without its certificate": {kafka.Access{Protocol: kafka.SSL, Key: key},
			[]string{"KAFKA_TLS_CERT is empty: KAFKA_TLS_KEY needs it (or KAFKA_TLS_CERT_FILE)"}},
		"a key of another certificate": {kafka.Access{Protocol: kafka.SSL, Cert: cert, Key: otherKey},
			[]string{"KAFKA_TLS_CERT and KAFKA_TLS_KEY: tls: private key does not match public key"}},
		"no certificate in it": {kafka.Access{Protocol: kafka.SSL, CA: key},
			[]string{"KAFKA_TLS_CA has no certificate in it: give PEM, which begins with -----BEGIN CERTIFICATE-----"}},
		"files that are not there": {kafka.Access{Protocol: kafka.SSL, CA: "no/ca", Cert: "no/cert", Key: "two\nlines"}, []string{
			"KAFKA_TLS_CA: open no/ca: no such file or directory",
			"KAFKA_TLS_CERT: open no/cert: no such file or directory",
			"KAFKA_TLS_KEY is neither PEM, which has a line -----BEGIN …-----, nor the name of a file"}},
		"a key in one line": {kafka.Access{Protocol: kafka.SSL, Cert: cert, Key: "c2VjcmV0"}, []string{"KAFKA_TLS_KEY: no such file or directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.settings.Validate()
			require.Error(t, err)
			require.Equal(t, c.want, strings.Split(err.Error(), "\n"))
			require.NotContains(t, err.Error(), "PRIVATE")
		})
	}
}

func TestCertificatesMayBeInFiles(t *testing.T) {
	t.Parallel()
	cert, key := pair(t)
	file := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	s := kafka.Access{Protocol: kafka.SSL, CA: file("ca.pem", cert), Cert: file("cert.pem", cert), Key: file("key.pem", key), ServerName: "kafka"}
	cfg, err := s.TLSConfig()
	require.NoError(t, err)
	require.NotNil(t, cfg.RootCAs)
	require.Len(t, cfg.Certificates, 1)
	require.Equal(t, "kafka", cfg.ServerName)
	require.False(t, cfg.InsecureSkipVerify)
	cfg, err = kafka.Access{Protocol: kafka.SSL}.TLSConfig()
	require.NoError(t, err)
	require.Nil(t, cfg.RootCAs, "without an authority of its own it trusts those of the machine")
}

func TestWhoNamesNoSecret(t *testing.T) {
	t.Parallel()
	require.Equal(t, `user "ada" (PLAIN)`, kafka.Access{Protocol: kafka.SASLSSL, Mechanism: kafka.Plain, Username: "ada", Password: "secret"}.Who())
	require.Equal(t, `client "c" (OAUTHBEARER)`, kafka.Access{Protocol: kafka.SASLSSL, Mechanism: kafka.OAuthBearer, ClientID: "c", ClientSecret: "secret"}.Who())
	require.Equal(t, "the client certificate", kafka.Access{Protocol: kafka.SSL, Cert: "x"}.Who())
	require.Equal(t, "an anonymous client", kafka.Access{}.Who())
}

// pair returns a certificate that signed itself, and its key.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	block := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", keyDER)
}
