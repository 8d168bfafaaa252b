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

// Tokens gets OAUTHBEARER tokens and keeps each until shortly before it ends. Safe for concurrent use.
type Tokens struct {
	where      string
	extensions map[string]string
	source     oauth2.TokenSource
}

// TokenError says that no token was to be had, and so that nobody could log in.
type TokenError struct {
	URL string
	Err error
}

func (e *TokenError) Error() string {
	return fmt.Sprintf("no token from %s (%s): check KAFKA_OAUTH_TOKEN_URL, KAFKA_OAUTH_CLIENT_ID, KAFKA_OAUTH_CLIENT_SECRET and KAFKA_OAUTH_SCOPES", e.URL, reason(e.Err))
}

// Unwrap makes errors.Is and errors.As see what the request failed with.
func (e *TokenError) Unwrap() error { return e.Err }

// reason leaves the answer's body out: it may be a page, and has no place in a log.
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

// NewTokens returns what OAUTHBEARER logs in with. The settings are valid.
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

// Token returns a token that is still good for a while, and what is told beside it. It takes a few seconds at most.
func (t *Tokens) Token() (token string, extensions map[string]string, err error) {
	held, err := t.source.Token()
	if err != nil {
		return "", nil, &TokenError{URL: t.where, Err: err}
	}
	return held.AccessToken, t.extensions, nil
}
