package adminauth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"pasdetrois/pkg/platform/secretfile"
)

// readTLS reads the certificates. A client certificate is asked for and not required: an orchestrator has none, and asks /livez. One
// of another authority ends the handshake. TLS 1.2 is the least version, because RFC 8996 deprecates the older ones.
func (s Settings) readTLS() (*tls.Config, error) {
	cert, certErr := os.ReadFile(s.CertFile)
	if certErr != nil {
		certErr = fmt.Errorf("ADMIN_TLS_CERT_FILE: %w", certErr)
	}
	key, keyErr := secretfile.Read(s.KeyFile)
	if keyErr != nil {
		keyErr = fmt.Errorf("ADMIN_TLS_KEY_FILE: %w", keyErr)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	errs := []error{certErr, keyErr}
	if certErr == nil && keyErr == nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			errs = append(errs, fmt.Errorf("ADMIN_TLS_CERT_FILE and ADMIN_TLS_KEY_FILE: %w", err))
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if s.ClientCAFile != "" {
		cfg.ClientAuth, cfg.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
		authorities, err := os.ReadFile(s.ClientCAFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("ADMIN_TLS_CLIENT_CA: %w", err))
		} else if !cfg.ClientCAs.AppendCertsFromPEM(authorities) {
			errs = append(errs, fmt.Errorf("ADMIN_TLS_CLIENT_CA: %s has no certificate in it: give PEM, which begins with -----BEGIN CERTIFICATE-----", s.ClientCAFile))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return cfg, nil
}

func (s Settings) watchTLS(log *slog.Logger) (*secretfile.Watched[*tls.Config], error) {
	paths := []string{s.CertFile, s.KeyFile}
	if s.ClientCAFile != "" {
		paths = append(paths, s.ClientCAFile)
	}
	return secretfile.Watch(log, s.readTLS, paths...)
}

// Listener returns l with TLS over it when the settings ask for TLS, else l itself. Each handshake uses the files as they are
// then.
func (g *Guard) Listener(l net.Listener) net.Listener {
	if g.tls == nil {
		return l
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return g.tls.Get(), nil
	}})
}
