package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// TLSConfig returns what connections to the brokers are made with, or what is wrong with the certificates, each problem
// on a line of its own.
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

// pem returns what a variable says itself or the file that it names has in it. A key's content is in no error.
func pem(name, value string) ([]byte, error) {
	if strings.Contains(value, "-----BEGIN ") {
		return []byte(value), nil
	}
	if strings.Contains(value, "\n") {
		return nil, fmt.Errorf("%s is neither PEM, which has a line -----BEGIN …-----, nor the name of a file", name)
	}
	content, err := os.ReadFile(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return content, nil
}
