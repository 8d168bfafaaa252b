package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// TLSConfig returns the TLS settings for connections to the brokers, or the problems of the certificates, each on a line of
// its own. It reads the files anew at each call. A running client keeps its settings, so a renewed certificate needs a restart.
//
// KAFKA_TLS_CA replaces the authorities of this machine: a cluster with an authority of its own trusts no other. TLS 1.2 is
// the least version, because RFC 8996 deprecates the older ones.
func (s Access) TLSConfig() (*tls.Config, error) {
	var errs []error
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName}
	if s.CA != "" {
		pool := x509.NewCertPool()
		err := s.addCA(pool)
		cfg.RootCAs = pool
		errs = append(errs, err)
	}
	switch {
	case s.Cert != "" && s.Key != "":
		cert, certErr := pem("KAFKA_TLS_CERT", s.Cert)
		key, keyErr := pem("KAFKA_TLS_KEY", s.Key)
		if certErr != nil || keyErr != nil {
			errs = append(errs, certErr, keyErr)
			break
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			errs = append(errs, fmt.Errorf("KAFKA_TLS_CERT and KAFKA_TLS_KEY: %w", err))
			break
		}
		cfg.Certificates = []tls.Certificate{pair}
	case s.Cert != "":
		errs = append(errs, errors.New("KAFKA_TLS_KEY is empty: KAFKA_TLS_CERT needs it (or KAFKA_TLS_KEY_FILE)"))
	case s.Key != "":
		errs = append(errs, errors.New("KAFKA_TLS_CERT is empty: KAFKA_TLS_KEY needs it (or KAFKA_TLS_CERT_FILE)"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return cfg, nil
}

// addCA adds the certificates of KAFKA_TLS_CA to pool. A text without any certificate is an error: an empty pool would reject
// every broker, with a text that points at the broker.
func (s Access) addCA(pool *x509.CertPool) error {
	content, err := pem("KAFKA_TLS_CA", s.CA)
	if err != nil {
		return err
	}
	if !pool.AppendCertsFromPEM(content) {
		return errors.New("KAFKA_TLS_CA has no certificate in it: give PEM, which begins with -----BEGIN CERTIFICATE-----")
	}
	return nil
}

// pem returns the PEM text of a variable: its value, or the content of the file that the value names. A value with a line break
// is no file name. Errors contain the variable's name, but never a PEM text, which may be a key.
func pem(name, value string) ([]byte, error) {
	if strings.Contains(value, "-----BEGIN ") {
		return []byte(value), nil
	}
	if strings.Contains(value, "\n") {
		return nil, fmt.Errorf("%s is neither PEM, which has a line -----BEGIN …-----, nor the name of a file", name)
	}
	content, err := os.ReadFile(value)
	var path *fs.PathError
	if errors.As(err, &path) && name == "KAFKA_TLS_KEY" { // the value may be the key itself, in one line
		err = path.Err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return content, nil
}
