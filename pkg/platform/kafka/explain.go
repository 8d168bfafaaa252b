package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// The error codes of Kafka's protocol for which Explain has a text. The numbers are part of the protocol and never change.
const (
	CodeNone              int16 = 0
	CodeTopicForbidden    int16 = 29
	CodeGroupForbidden    int16 = 30
	CodeClusterForbidden  int16 = 31
	CodeInvalidTimestamp  int16 = 32
	CodeMechanism         int16 = 33
	CodeNoLogin           int16 = 34
	CodeReplicationFactor int16 = 38
	CodePolicy            int16 = 44
	CodeLogin             int16 = 58
	CodeCompression       int16 = 76
)

// Problem is an error of the connection to Kafka as one line of text that names a remedy. Unwrap returns the library's error.
type Problem struct {
	Text string
	Err  error
	// Unreachable is the reason, in few words, when no broker answered at all; "" when one did.
	Unreachable string
}

func (p *Problem) Error() string { return p.Text }

// Unwrap returns the library's error.
func (p *Problem) Unwrap() error { return p.Err }

// Explain returns err as a *Problem when its cause is known, else err itself; nil stays nil. An error that contains a
// *Problem already is returned unchanged, so callers may explain twice. code is the error code of Kafka's protocol that the
// library read, CodeNone when it read none.
//
// The broker's own code decides first, because it is exact. Next come errors of TLS and of the token, and last those of the
// network: a refused handshake also ends as a closed connection.
func Explain(brokers []string, s Access, err error, code int16) error {
	var known *Problem
	if err == nil || errors.As(err, &known) {
		return err
	}
	where := "Kafka at " + strings.Join(brokers, ",")
	text := s.explainCode(where, code)
	if text == "" {
		text = s.explainCause(where, err)
	}
	var timeout net.Error
	switch {
	case text != "":
		return &Problem{Text: text, Err: err}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Problem{Text: where + ": connection refused; check that it runs there, and KAFKA_BROKERS", Err: err, Unreachable: "connection refused"}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &Problem{Text: where + " does not answer; check that it runs there, KAFKA_BROKERS and what is between", Err: err, Unreachable: "no answer"}
	}
	return err
}

// explainCode returns the text for a broker's error code, "" for other codes. Only mistakes that an operator repairs are
// here; the passing ones, such as an election, are retried and need no text.
func (s Access) explainCode(where string, code int16) string {
	switch code {
	case CodeLogin:
		if s.Mechanism == OAuthBearer {
			return fmt.Sprintf("%s refused the token of %s: check issuer, audience and scope that the broker requires, and the clocks", where, s.Who())
		}
		return fmt.Sprintf("%s refused to log in %s: check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD", where, s.Who())
	case CodeMechanism, CodeNoLogin:
		return fmt.Sprintf("%s does not offer KAFKA_SASL_MECHANISM %s: use one that its listener offers, and its KAFKA_SECURITY_PROTOCOL", where, s.Mechanism)
	case CodeTopicForbidden, CodeGroupForbidden, CodeClusterForbidden:
		what := map[int16]string{CodeTopicForbidden: "the topics", CodeGroupForbidden: "the consumer groups",
			CodeClusterForbidden: "the cluster (Create, or IdempotentWrite)"}[code]
		return fmt.Sprintf("%s does not allow %s to use %s: an ACL is missing, docs/operations.md has the list", where, s.Who(), what)
	case CodeInvalidTimestamp:
		return fmt.Sprintf("%s refuses the time of our records: this machine's clock (%s) and the broker's differ, set them right", where,
			time.Now().UTC().Format(time.RFC3339))
	case CodeReplicationFactor:
		return fmt.Sprintf("%s has fewer brokers than the replication factor: ask for fewer copies, or start the other brokers", where)
	case CodePolicy:
		return fmt.Sprintf("%s does not allow a topic like this: its policy requires other partitions, copies or settings", where)
	case CodeCompression:
		return fmt.Sprintf("%s does not take this compression: set KAFKA_COMPRESSION to another, such as none or gzip", where)
	}
	return ""
}

// explainCause returns the text for an error that came before any answer of the broker, "" for unknown errors. The order of
// the cases matters: a TLS error may contain a network error, so the special cases come first. A broker that speaks another
// protocol closes the connection without a reason, so an end of file is taken for a wrong protocol.
func (s Access) explainCause(where string, err error) string {
	var (
		token     *TokenError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		network   *net.OpError
		name      *net.DNSError
	)
	switch {
	case errors.As(err, &token):
		return fmt.Sprintf("log in to %s: %s", where, token)
	case errors.As(err, &authority):
		return fmt.Sprintf("the certificate of %s is signed by an untrusted authority: set KAFKA_TLS_CA to the certificate of its authority", where)
	case errors.As(err, &host):
		return fmt.Sprintf("the certificate of %s is not for %s, which KAFKA_BROKERS or advertised.listeners says, but for %s: use these, or set KAFKA_TLS_SERVER_NAME",
			where, host.Host, names(host.Certificate))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the certificate of %s is not valid at %s: set this machine's clock right, or renew the certificate", where, time.Now().UTC().Format(time.RFC3339))
	case errors.As(err, &invalid):
		return fmt.Sprintf("the certificate of %s cannot be trusted (%s)", where, invalid.Error())
	case errors.As(err, &record):
		return fmt.Sprintf("%s does not speak TLS: KAFKA_SECURITY_PROTOCOL is %s, use its TLS listener or another protocol", where, s.protocol())
	case errors.As(err, &network) && network.Op == "remote error" && s.Cert == "":
		return fmt.Sprintf("%s requires a client certificate (%s): set KAFKA_TLS_CERT and KAFKA_TLS_KEY", where, network.Err)
	case errors.As(err, &network) && network.Op == "remote error":
		return fmt.Sprintf("%s refused the client certificate (%s): check KAFKA_TLS_CERT and KAFKA_TLS_KEY, and that it trusts their authority", where, network.Err)
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Sprintf("there is no host %s, which KAFKA_BROKERS or advertised.listeners says: check KAFKA_BROKERS", name.Name)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		login := ""
		if s.SASL() {
			login = ", and the login"
		}
		return fmt.Sprintf("%s hung up: check that KAFKA_SECURITY_PROTOCOL %s is what its listener speaks%s", where, s.protocol(), login)
	}
	return ""
}

// names lists the hosts and addresses of a certificate. The caller's text offers them as values for KAFKA_BROKERS.
func names(c *x509.Certificate) string {
	all := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "nobody"
	}
	return strings.Join(all, ", ")
}
