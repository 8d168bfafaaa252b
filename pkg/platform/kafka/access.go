package kafka

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Access is how a client encrypts its connections and logs in. The environment sets it; the zero value is PLAINTEXT.
// No method changes an Access, so goroutines may share one. Password, ClientSecret and Key are secrets: no error text contains
// the first two, or the PEM text of the key.
//
//	protocol        TLS  login
//	PLAINTEXT       no   no
//	SSL             yes  no, or by a client certificate
//	SASL_PLAINTEXT  no   yes: PLAIN sends the password in clear
//	SASL_SSL        yes  yes
type Access struct {
	Protocol  string `env:"KAFKA_SECURITY_PROTOCOL" envDefault:"PLAINTEXT" desc:"how to connect to Kafka: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"`
	Mechanism string `env:"KAFKA_SASL_MECHANISM" desc:"for SASL_*: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"`
	Username  string `env:"KAFKA_SASL_USERNAME" desc:"for PLAIN and SCRAM: the user"`
	Password  string `env:"KAFKA_SASL_PASSWORD" desc:"for PLAIN and SCRAM: the user's password"`

	TokenURL     string   `env:"KAFKA_OAUTH_TOKEN_URL" desc:"for OAUTHBEARER: URL that gives tokens for the grant client_credentials; a token is kept until 30 s before its end"`
	ClientID     string   `env:"KAFKA_OAUTH_CLIENT_ID" desc:"for OAUTHBEARER: the client"`
	ClientSecret string   `env:"KAFKA_OAUTH_CLIENT_SECRET" desc:"for OAUTHBEARER: the client's secret"`
	Scopes       []string `env:"KAFKA_OAUTH_SCOPES" desc:"for OAUTHBEARER: scopes to ask for, comma separated"`
	Extensions   []string `env:"KAFKA_OAUTH_EXTENSIONS" desc:"for OAUTHBEARER: NAME=VALUE that some brokers need, comma separated"`

	CA         string `env:"KAFKA_TLS_CA" desc:"for SSL and SASL_SSL: certificates of the authorities that may sign the brokers' and the token URL's: PEM, or the name of a file; none: the authorities that this machine trusts"`
	Cert       string `env:"KAFKA_TLS_CERT" desc:"for SSL and SASL_SSL: client certificate with its chain: PEM, or the name of a file"`
	Key        string `env:"KAFKA_TLS_KEY" desc:"for SSL and SASL_SSL: key of the client certificate: PEM, or the name of a file"`
	ServerName string `env:"KAFKA_TLS_SERVER_NAME" desc:"for SSL and SASL_SSL: name in the brokers' certificates, where it is not their host's"`
}

// The protocols and mechanisms have the names of Kafka's own settings, so an operator copies them from the broker.
const (
	Plaintext     = "PLAINTEXT"
	SSL           = "SSL"
	SASLPlaintext = "SASL_PLAINTEXT"
	SASLSSL       = "SASL_SSL"

	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
	OAuthBearer = "OAUTHBEARER"
)

func protocols() []string  { return []string{Plaintext, SSL, SASLPlaintext, SASLSSL} }
func mechanisms() []string { return []string{Plain, ScramSHA256, ScramSHA512, OAuthBearer} }

// TLS reports whether the protocol encrypts connections.
func (s Access) TLS() bool { return s.Protocol == SSL || s.Protocol == SASLSSL }

// SASL reports whether the protocol has a login by password or token. A client certificate is no SASL login.
func (s Access) SASL() bool { return s.Protocol == SASLPlaintext || s.Protocol == SASLSSL }

// Validate returns all problems joined, so an operator repairs all of them in one go. It reads the files of certificates, and
// asks neither a broker nor the token URL. A setting without effect is a problem too: see validateLogin.
func (s Access) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Protocol != "" && !slices.Contains(protocols(), s.Protocol) {
		wrong("KAFKA_SECURITY_PROTOCOL: %q is not one of %s", s.Protocol, strings.Join(protocols(), ", "))
		return errors.Join(errs...) // the protocol decides which other settings are needed
	}
	s.validateLogin(wrong)
	if s.TLS() {
		if _, err := s.TLSConfig(); err != nil {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	for _, v := range []setting{{"KAFKA_TLS_CA", s.CA}, {"KAFKA_TLS_CERT", s.Cert}, {"KAFKA_TLS_KEY", s.Key}, {"KAFKA_TLS_SERVER_NAME", s.ServerName}} {
		tokens := v.name == "KAFKA_TLS_CA" && s.Mechanism == OAuthBearer // the authority may also sign for the token URL
		if v.value != "" && !tokens {
			wrong("%s is set, and KAFKA_SECURITY_PROTOCOL %s uses no TLS: set it to SSL or SASL_SSL", v.name, s.protocol())
		}
	}
	return errors.Join(errs...)
}

// setting is the name and the value of an environment variable.
type setting struct{ name, value string }

// protocol is Protocol for error texts, where an empty one would confuse the reader.
func (s Access) protocol() string {
	if s.Protocol == "" {
		return Plaintext
	}
	return s.Protocol
}

// validateLogin passes each problem of the login to wrong. Credentials without a SASL protocol are a problem as well: the
// operator believes that they protect the connection, and it would be open.
func (s Access) validateLogin(wrong func(string, ...any)) {
	password := []setting{{"KAFKA_SASL_USERNAME", s.Username}, {"KAFKA_SASL_PASSWORD", s.Password}}
	oauth := []setting{{"KAFKA_OAUTH_TOKEN_URL", s.TokenURL}, {"KAFKA_OAUTH_CLIENT_ID", s.ClientID}, {"KAFKA_OAUTH_CLIENT_SECRET", s.ClientSecret}}
	needed := func(settings []setting) {
		for _, v := range settings {
			if v.value == "" {
				wrong("%s is empty: KAFKA_SASL_MECHANISM %s needs it (or %s_FILE)", v.name, s.Mechanism, v.name)
			}
		}
	}
	if !s.SASL() {
		for _, v := range slices.Concat([]setting{{"KAFKA_SASL_MECHANISM", s.Mechanism}}, password, oauth) {
			if v.value != "" {
				wrong("%s is set, and KAFKA_SECURITY_PROTOCOL %s does not log in: set it to SASL_SSL or SASL_PLAINTEXT", v.name, s.protocol())
			}
		}
		return
	}
	switch s.Mechanism {
	case Plain, ScramSHA256, ScramSHA512:
		needed(password)
	case OAuthBearer:
		needed(oauth)
		if u, err := url.Parse(s.TokenURL); s.TokenURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			wrong("KAFKA_OAUTH_TOKEN_URL is not a URL such as https://login.example.com/oauth2/token")
		}
		if _, err := s.extensions(); err != nil {
			wrong("%w", err)
		}
	case "":
		wrong("KAFKA_SASL_MECHANISM is empty: KAFKA_SECURITY_PROTOCOL %s needs one of %s", s.Protocol, strings.Join(mechanisms(), ", "))
	default:
		wrong("KAFKA_SASL_MECHANISM: %q is not one of %s", s.Mechanism, strings.Join(mechanisms(), ", "))
	}
}

// extensions returns the extensions of OAUTHBEARER (KIP-342) by name. The name auth is reserved for the token itself (RFC
// 7628), so it is an error. So is a pair without a name or a value.
func (s Access) extensions() (map[string]string, error) {
	if len(s.Extensions) == 0 {
		return nil, nil
	}
	all := make(map[string]string, len(s.Extensions))
	for _, e := range s.Extensions {
		name, value, ok := strings.Cut(strings.TrimSpace(e), "=")
		if !ok || name == "" || value == "" || name == "auth" {
			return nil, fmt.Errorf("KAFKA_OAUTH_EXTENSIONS: %q is not NAME=VALUE", e)
		}
		all[name] = value
	}
	return all, nil
}

// Who names the client for error texts, as an operator finds it in the broker's ACLs. It contains no secret.
func (s Access) Who() string {
	switch {
	case s.SASL() && s.Mechanism == OAuthBearer:
		return fmt.Sprintf("client %q (%s)", s.ClientID, s.Mechanism)
	case s.SASL():
		return fmt.Sprintf("user %q (%s)", s.Username, s.Mechanism)
	case s.Cert != "":
		return "the client certificate"
	default:
		return "an anonymous client"
	}
}
