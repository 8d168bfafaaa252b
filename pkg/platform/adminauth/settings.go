// Package adminauth asks who uses the admin API of a service.
//
// A request shows that it comes from an operator in one of two ways. Where both are set, each of them is enough:
//
//   - a token, as "Authorization: Bearer TOKEN" (RFC 6750): ADMIN_TOKEN_FILE has one, or two while they are exchanged;
//   - a client certificate of the authority ADMIN_TLS_CLIENT_CA, over TLS.
//
// Without either, everybody who reaches the port is an operator. That is for loopback.
//
//	/livez        open: an orchestrator asks it
//	/readyz       open; a stranger sees the names of the checks, an operator also the texts of their errors
//	/metrics      open; with METRICS_TOKEN_FILE it asks for that token, or for an operator
//	all the rest  asks for an operator: 401 with WWW-Authenticate
//
// Metrics are open by default, because they have neither ids nor texts, and every installation's Prometheus reads them today.
package adminauth

import (
	"errors"
	"log/slog"
)

// Settings say how operators show who they are. Each file is read again when it changes.
type Settings struct {
	TokenFile        string `env:"ADMIN_TOKEN_FILE" desc:"file with the token of the admin API, or with two while they are exchanged: a line each, 32 characters or more; its mode must be 600"`
	MetricsTokenFile string `env:"METRICS_TOKEN_FILE" desc:"file with the token for /metrics, as ADMIN_TOKEN_FILE; none: /metrics is open"`
	CertFile         string `env:"ADMIN_TLS_CERT_FILE" desc:"file with the certificate of the admin API, PEM; with it the admin API speaks TLS"`
	KeyFile          string `env:"ADMIN_TLS_KEY_FILE" desc:"file with the key of ADMIN_TLS_CERT_FILE, PEM; its mode must be 600"`
	ClientCAFile     string `env:"ADMIN_TLS_CLIENT_CA" desc:"file with the authorities of operators' client certificates, PEM"`

	// LocalUser makes requests of this process's own user on this machine those of an operator. `pas up` sets it.
	LocalUser bool `env:"-"`
}

// Asks reports whether the admin API asks who calls.
func (s Settings) Asks() bool { return s.TokenFile != "" || s.ClientCAFile != "" }

// TLS reports whether the admin API speaks TLS.
func (s Settings) TLS() bool { return s.CertFile != "" }

// Validate returns all problems joined, each with the name of its setting. It reads the files.
func (s Settings) Validate() error {
	var errs []error
	for name, path := range map[string]string{"ADMIN_TOKEN_FILE": s.TokenFile, "METRICS_TOKEN_FILE": s.MetricsTokenFile} {
		if path != "" {
			_, err := readTokens(name, path)
			errs = append(errs, err)
		}
	}
	if s.MetricsTokenFile != "" && !s.Asks() {
		errs = append(errs, errors.New("METRICS_TOKEN_FILE needs ADMIN_TOKEN_FILE or ADMIN_TLS_CLIENT_CA: without them everybody is an operator, who may read /metrics"))
	}
	switch {
	case s.CertFile == "" && s.KeyFile == "" && s.ClientCAFile == "":
	case s.CertFile == "":
		errs = append(errs, errors.New("ADMIN_TLS_CERT_FILE is empty: ADMIN_TLS_KEY_FILE and ADMIN_TLS_CLIENT_CA need it"))
	case s.KeyFile == "":
		errs = append(errs, errors.New("ADMIN_TLS_KEY_FILE is empty: ADMIN_TLS_CERT_FILE needs it"))
	default:
		_, err := s.readTLS()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// New returns the guard of an admin server. s must be valid.
func New(s Settings, log *slog.Logger) (*Guard, error) {
	g := &Guard{settings: s, log: log}
	var err error
	if s.TokenFile != "" {
		if g.tokens, err = watchTokens(log, "ADMIN_TOKEN_FILE", s.TokenFile); err != nil {
			return nil, err
		}
	}
	if s.MetricsTokenFile != "" {
		if g.metrics, err = watchTokens(log, "METRICS_TOKEN_FILE", s.MetricsTokenFile); err != nil {
			return nil, err
		}
	}
	if s.TLS() {
		if g.tls, err = s.watchTLS(log); err != nil {
			return nil, err
		}
	}
	return g, nil
}
