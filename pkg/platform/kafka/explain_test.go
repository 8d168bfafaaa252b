package kafka_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/kafka"
)

func TestEveryKnownCauseSaysWhatToDoInOneLine(t *testing.T) {
	t.Parallel()
	brokers := []string{"kafka-1:9093", "kafka-2:9093"}
	plain := kafka.Access{Protocol: kafka.SASLSSL, Mechanism: kafka.Plain, Username: "ada", Password: "s3cret"}
	oauth := kafka.Access{Protocol: kafka.SASLSSL, Mechanism: kafka.OAuthBearer, ClientID: "shop"}
	mutual := kafka.Access{Protocol: kafka.SSL, Cert: "x"}
	refused := errors.New("client has run out of brokers")
	for name, c := range map[string]struct {
		s    kafka.Access
		err  error
		code int16
		want string
	}{
		"password":       {plain, refused, kafka.CodeLogin, `refused to log in user "ada" (PLAIN): check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD`},
		"token":          {oauth, refused, kafka.CodeLogin, `refused the token of client "shop" (OAUTHBEARER): check issuer, audience`},
		"mechanism":      {plain, refused, kafka.CodeMechanism, "does not offer KAFKA_SASL_MECHANISM PLAIN"},
		"topic":          {plain, refused, kafka.CodeTopicForbidden, `does not allow user "ada" (PLAIN) to use the topics: an ACL is missing`},
		"group":          {mutual, refused, kafka.CodeGroupForbidden, "does not allow the client certificate to use the consumer groups"},
		"cluster":        {kafka.Access{}, refused, kafka.CodeClusterForbidden, "does not allow an anonymous client to use the cluster"},
		"clock":          {plain, refused, kafka.CodeInvalidTimestamp, "refuses the time of our records: this machine's clock"},
		"replication":    {plain, refused, kafka.CodeReplicationFactor, "has fewer brokers than the replication factor"},
		"policy":         {plain, refused, kafka.CodePolicy, "its policy requires other partitions, copies or settings"},
		"compression":    {plain, refused, kafka.CodeCompression, "set KAFKA_COMPRESSION to another"},
		"no token":       {oauth, &kafka.TokenError{URL: "https://login", Err: refused}, 0, "no token from https://login"},
		"authority":      {plain, x509.UnknownAuthorityError{}, 0, "set KAFKA_TLS_CA"},
		"name":           {plain, x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"a", "b"}, IPAddresses: []net.IP{{127, 0, 0, 1}}}, Host: "c"}, 0, "is not for c, which KAFKA_BROKERS or advertised.listeners says, but for a, b, 127.0.0.1"},
		"time":           {plain, x509.CertificateInvalidError{Reason: x509.Expired}, 0, "set this machine's clock right, or renew the certificate"},
		"certificate":    {plain, x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}, 0, "cannot be trusted"},
		"no TLS":         {mutual, tls.RecordHeaderError{}, 0, "does not speak TLS"},
		"no client cert": {plain, &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, 0, "requires a client certificate (tls: certificate required): set KAFKA_TLS_CERT"},
		"client cert":    {mutual, &net.OpError{Op: "remote error", Err: errors.New("tls: unknown certificate authority")}, 0, "refused the client certificate (tls: unknown certificate authority)"},
		"host":           {plain, &net.DNSError{Name: "kafka-1", IsNotFound: true}, 0, "there is no host kafka-1"},
		"port":           {plain, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, 0, "kafka-1:9093,kafka-2:9093: connection refused; check that it runs there, and KAFKA_BROKERS"},
		"silence":        {plain, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, 0, "does not answer"},
		"hung up":        {kafka.Access{}, io.EOF, 0, "check that KAFKA_SECURITY_PROTOCOL PLAINTEXT is what its listener speaks"},
		"reset":          {plain, syscall.ECONNRESET, 0, "SASL_SSL is what its listener speaks, and the login"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrapped := fmt.Errorf("connect: %w", errors.Join(errors.New("more"), c.err))
			err := kafka.Explain(brokers, c.s, wrapped, c.code)
			var p *kafka.Problem
			require.ErrorAs(t, err, &p)
			require.Contains(t, err.Error(), c.want)
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), "s3cret")
			require.ErrorIs(t, err, c.err, "what the library said can still be asked for")
			require.Same(t, p, kafka.Explain(brokers, c.s, p, c.code), "it is explained once")
		})
	}
	require.NoError(t, kafka.Explain(brokers, plain, nil, 0))
	require.Equal(t, refused, kafka.Explain(brokers, plain, refused, 0), "an unknown cause stays as it is")
}
