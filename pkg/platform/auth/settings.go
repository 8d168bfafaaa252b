package auth

import (
	"errors"
	"fmt"
	"net/url"

	"pasdetrois/pkg/platform/httpx"
)

// The values of AUTH.
const (
	Off          = "off"            // callers need no login; for listeners on loopback
	OffOnPurpose = "off-on-purpose" // callers need no login, on every listener
	OIDC         = "oidc"           // each request to the public API needs a bearer token
)

// Settings say who may call the public API.
type Settings struct {
	Mode      string `env:"AUTH" envDefault:"off" desc:"who may call the public API. oidc: callers with a token of OIDC_ISSUER. off: everybody, and the service listens on loopback only. off-on-purpose: everybody, on every address, the admin API too unless it asks by itself"`
	Issuer    string `env:"OIDC_ISSUER" desc:"for AUTH=oidc: the login server, as its tokens name it in iss; an https:// URL (http:// on loopback only)"`
	Audience  string `env:"OIDC_AUDIENCE" desc:"for AUTH=oidc: this API's name at the login server; tokens have it in aud"`
	UserClaim string `env:"OIDC_USER_CLAIM" envDefault:"sub" desc:"claim that is the user_id; one that users cannot change themselves"`
}

// On reports whether callers log in.
func (s Settings) On() bool { return s.Mode == OIDC }

// Validate returns all problems joined.
func (s Settings) Validate() error {
	switch s.Mode {
	case Off:
		if s.Issuer != "" || s.Audience != "" {
			return errors.New("OIDC_ISSUER or OIDC_AUDIENCE is set, and AUTH=off asks nobody: set AUTH=oidc")
		}
		return nil
	case OffOnPurpose:
		return nil
	case OIDC:
	default:
		return fmt.Errorf("AUTH: %q is not one of oidc, off, off-on-purpose", s.Mode)
	}
	var noAudience, noClaim error
	if s.Audience == "" {
		noAudience = errors.New("OIDC_AUDIENCE is empty: AUTH=oidc needs it, or tokens for other APIs of the issuer would be taken")
	}
	if s.UserClaim == "" {
		noClaim = errors.New("OIDC_USER_CLAIM is empty")
	}
	return errors.Join(s.issuer(), noAudience, noClaim)
}

// issuer checks the issuer. Keys that come over plain HTTP could be anybody's, and whoever has keys makes tokens for every user. So
// there is no exception but loopback; SSL_CERT_FILE names a private CA.
func (s Settings) issuer() error {
	if s.Issuer == "" {
		return errors.New("OIDC_ISSUER is empty: AUTH=oidc needs the URL of the login server")
	}
	u, err := url.Parse(s.Issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("OIDC_ISSUER: %q is not a URL such as https://login.example.com/realms/shop", s.Issuer)
	case !private(u):
		return fmt.Errorf("OIDC_ISSUER: %q has no https://, so its keys could be forged on their way", s.Issuer)
	}
	return nil
}

// private reports whether nobody on the network can change the answers of u.
func private(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && httpx.LoopbackName(u.Hostname())
}
