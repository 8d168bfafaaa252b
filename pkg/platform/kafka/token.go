package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	// tokenTime bounds one request for a token.
	tokenTime = 5 * time.Second
	// renewBefore is how long before its end a token is replaced: a login takes a moment, and clocks differ a little.
	renewBefore = 30 * time.Second
)

// Tokens requests OAUTHBEARER tokens by the grant client_credentials, and keeps each until shortly before it ends. Connections
// that log in at the same time share one request. Safe for concurrent use.
//
//	no token ---request---> token ---30 s before its end---> no token
//	   ^           |
//	   +--failed---+   the error goes to the login, and the next login requests again
type Tokens struct {
	where      string
	extensions map[string]string
	source     oauth2.TokenSource
}

// TokenError is the failure of a request for a token. The login fails with it, before any broker is asked to accept it.
type TokenError struct {
	URL string
	Err error
}

func (e *TokenError) Error() string {
	return fmt.Sprintf("no token from %s (%s): check KAFKA_OAUTH_TOKEN_URL, KAFKA_OAUTH_CLIENT_ID, KAFKA_OAUTH_CLIENT_SECRET and KAFKA_OAUTH_SCOPES", e.URL, reason(e.Err))
}

// Unwrap returns the error of the request, so errors.Is and errors.As find it.
func (e *TokenError) Unwrap() error { return e.Err }

// reason returns the cause in one line. It leaves the answer's body out: the body may be a whole page, or contain secrets.
// The error code and its description are the fields that RFC 6749 defines for people.
func reason(err error) string {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return err.Error()
	}
	switch {
	case refused.ErrorCode != "" && refused.ErrorDescription != "":
		return refused.ErrorCode + ": " + refused.ErrorDescription
	case refused.ErrorCode != "":
		return refused.ErrorCode
	case refused.Response != nil:
		return "it answered " + refused.Response.Status
	default:
		return "it refused"
	}
}

// NewTokens returns the source of tokens for the settings, which the caller has validated. It sends no request.
//
// KAFKA_TLS_CA adds to the authorities of this machine here, unlike in TLSConfig: the token URL often is a public host with a
// public certificate, while the brokers are private. Requests are rare, so connections are not kept open between them.
func NewTokens(s Access) (*Tokens, error) {
	extensions, err := s.extensions()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if s.CA != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if err := s.addCA(roots); err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	web := &http.Client{Timeout: tokenTime, Transport: transport}
	grant := clientcredentials.Config{ClientID: s.ClientID, ClientSecret: s.ClientSecret, TokenURL: s.TokenURL, Scopes: s.Scopes}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, web)
	return &Tokens{where: s.TokenURL, extensions: extensions,
		source: oauth2.ReuseTokenSourceWithExpiry(nil, grant.TokenSource(ctx), renewBefore)}, nil
}

// Token returns a token that is valid for some time to come, and the extensions to send with it. A kept token is returned at
// once; each HTTP request takes tokenTime at most. The error is a *TokenError. The caller must not change the map.
func (t *Tokens) Token() (token string, extensions map[string]string, err error) {
	held, err := t.source.Token()
	if err != nil {
		return "", nil, &TokenError{URL: t.where, Err: err}
	}
	return held.AccessToken, t.extensions, nil
}
