package cli

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/secretfile"
	"pasdetrois/toolbox/client"
)

// operate gives the client what the admin APIs ask for: the token of PAS_ADMIN_TOKEN or PAS_ADMIN_TOKEN_FILE, and the files of
// PAS_ADMIN_TLS_…. Without a token it takes that of a `pas up` which runs in this folder, for admin APIs on this machine only.
func (a *app) operate(c *client.Client, at client.Endpoints) error {
	token, err := a.adminToken()
	if err != nil {
		return err
	}
	if token == "" && onlyHere(at) {
		token = readRunning(upFile).AdminToken
	}
	over, err := a.adminTLS()
	if err != nil {
		return err
	}
	c.SetAdmin(token, over)
	return nil
}

// adminToken returns the token that the environment has; "" when it has none.
func (a *app) adminToken() (string, error) {
	const name = "PAS_ADMIN_TOKEN"
	value, path := a.Environ[name], a.Environ[name+"_FILE"]
	switch {
	case value != "" && path != "":
		return "", usagef("%s and %s_FILE are both set: keep one", name, name)
	case path != "":
		content, err := secretfile.Read(path)
		if err != nil {
			return "", usagef("%s_FILE: %s", name, err)
		}
		lines := secretfile.Lines(content)
		if len(lines) == 0 {
			return "", usagef("%s_FILE: %s is empty", name, path)
		}
		value = lines[len(lines)-1] // of two, the later one replaces the other
	}
	if value != "" {
		if err := secretfile.CheckToken(value); err != nil {
			return "", usagef("%s: %s", name, err)
		}
	}
	return value, nil
}

// adminTLS returns the TLS settings of the environment; nil when it has none.
func (a *app) adminTLS() (*tls.Config, error) {
	const ca, cert, key = "PAS_ADMIN_TLS_CA_FILE", "PAS_ADMIN_TLS_CERT_FILE", "PAS_ADMIN_TLS_KEY_FILE"
	if a.Environ[ca] == "" && a.Environ[cert] == "" && a.Environ[key] == "" {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if path := a.Environ[ca]; path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, usagef("%s: %s", ca, err)
		}
		if cfg.RootCAs, err = x509.SystemCertPool(); err != nil {
			cfg.RootCAs = x509.NewCertPool()
		}
		if !cfg.RootCAs.AppendCertsFromPEM(content) {
			return nil, usagef("%s: %s has no certificate in it", ca, path)
		}
	}
	if a.Environ[cert] == "" && a.Environ[key] == "" {
		return cfg, nil
	}
	if a.Environ[cert] == "" || a.Environ[key] == "" {
		return nil, usagef("%s and %s belong together: set both", cert, key)
	}
	if _, err := secretfile.Read(a.Environ[key]); err != nil {
		return nil, usagef("%s: %s", key, err)
	}
	pair, err := tls.LoadX509KeyPair(a.Environ[cert], a.Environ[key])
	if err != nil {
		return nil, usagef("%s and %s: %s", cert, key, err)
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg, nil
}

// onlyHere reports whether all admin APIs are on this machine. A token that was found in a file of this folder must not go to
// another one.
func onlyHere(at client.Endpoints) bool {
	for _, name := range messages.Services() {
		u, err := url.Parse(at[name].Admin)
		if err != nil || u.Host != "" && !httpx.LoopbackName(u.Hostname()) {
			return false
		}
	}
	return true
}
