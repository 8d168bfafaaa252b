package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/auth/authtest"
)

func TestATokenOfTheLoginServerNamesTheCaller(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, algorithm := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA} {
		d.server.Rotate(algorithm)
		d.pass(auth.RefreshAfter)
		token := d.server.Token("ada", auth.Read)
		for range 2 {
			d.accepts(token, `"user":"ada"`, `"reads":true`, `"writes":false`)
		}
		require.Equal(t, 1, d.login.Remembered(), "%s: the tokens of the keys before are forgotten", algorithm)
	}
}

func TestATokenIsRefused(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.server.Rotate(jose.RS256)
	d.pass(auth.RefreshAfter)
	with := func(name string, value any) map[string]any {
		c := d.server.Claims(d.now(), "ada", auth.Admin)
		c[name] = value
		if value == nil {
			delete(c, name)
		}
		return c
	}
	good := d.server.Sign(with("jti", "1"))
	d.accepts(good)
	other := authtest.Start(t)
	public, id := d.server.Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	asSecret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	parts := strings.Split(good, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	rs := jose.SigningKey{Algorithm: jose.RS256, Key: stranger}

	for name, c := range map[string]struct{ token, why string }{
		"wrong audience":                     {d.server.Sign(with("aud", "another")), "audience"},
		"no audience":                        {d.server.Sign(with("aud", nil)), "audience"},
		"wrong issuer":                       {d.server.Sign(with("iss", "https://login.example.com")), "different provider"},
		"token of another server":            {other.Token("ada", auth.Admin), "no such key"},
		"unknown key":                        {authtest.Signed(t, rs, "no-such-key", with("jti", "2")), "no such key"},
		"key of a stranger under a known id": {authtest.Signed(t, rs, id, with("jti", "3")), "did not sign this"},
		"no key id, key of a stranger":       {authtest.Signed(t, rs, "", with("jti", "4")), "did not sign this"},
		"HS256 with the public key":          {authtest.Signed(t, jose.SigningKey{Algorithm: jose.HS256, Key: asSecret}, id, with("jti", "5")), "algorithm"},
		"HS256 with the DER of it":           {authtest.Signed(t, jose.SigningKey{Algorithm: jose.HS256, Key: der}, id, with("jti", "6")), "algorithm"},
		"RS512":                              {authtest.Signed(t, jose.SigningKey{Algorithm: jose.RS512, Key: stranger}, id, with("jti", "7")), "algorithm"},
		"none":                               {encode(`{"alg":"none","kid":"`+id+`"}`) + "." + parts[1] + ".", "algorithm"},
		"NONE":                               {encode(`{"alg":"NONE"}`) + "." + parts[1] + ".", "algorithm"},
		"none with the old signature":        {encode(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2], "algorithm"},
		"other claims under the signature":   {parts[0] + "." + encode(`{"sub":"eve"}`) + "." + parts[2], "did not sign this"},
		"no expiry":                          {d.server.Sign(with("exp", nil)), "no exp"},
		"no user and no admin":               {d.server.Sign(with("scope", "orders:read")), ""},
		"no text":                            {"x", "malformed"},
		"two dots":                           {"..", "malformed"},
		"JSON serialisation":                 {`{"payload":"","signatures":[]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "no user and no admin" {
				claims := with("scope", "orders:read")
				delete(claims, "sub")
				c.token, c.why = d.server.Sign(claims), "claim sub is no user_id"
			}
			d.refuses(c.token, c.why)
		})
	}
	require.Equal(t, 1, d.login.Remembered(), "only the good one")
	d.accepts(good)
}

func TestClocksMayDifferByAMinute(t *testing.T) {
	t.Parallel()
	d := setup(t)
	at := func(name string, seconds int64) string {
		c := d.server.Claims(d.now(), "ada")
		c[name] = d.now().Unix() + seconds
		return d.server.Sign(c)
	}
	d.accepts(at("exp", -59))
	d.refuses(at("exp", -61), "has expired")
	d.accepts(at("nbf", 59))
	d.refuses(at("nbf", 61), "not valid yet")

	token := at("exp", 10)
	d.accepts(token)
	d.pass(69 * time.Second)
	d.accepts(token)
	d.pass(2 * time.Second)
	d.refuses(token, "has expired") // although it is remembered
}

func TestScopesAndUsersComeInSeveralForms(t *testing.T) {
	t.Parallel()
	d := setup(t, func(s *auth.Settings) { s.UserClaim = "shop_user" })
	token := func(change map[string]any) string {
		c := d.server.Claims(d.now(), "ada")
		for name, value := range change {
			c[name] = value
		}
		return d.server.Sign(c)
	}
	d.accepts(token(map[string]any{"shop_user": "u", "scope": "openid orders:read  orders:write"}), `"user":"u"`, `"reads":true`, `"writes":true`)
	d.accepts(token(map[string]any{"shop_user": 7, "scope": []string{"orders:read"}}), `"user":"7"`, `"reads":true`, `"writes":false`)
	d.accepts(token(map[string]any{"shop_user": "u", "scope": nil, "scp": "orders:write"}), `"reads":false`, `"writes":true`)
	d.accepts(token(map[string]any{"shop_user": "u", "scp": []string{"orders:write"}}), `"writes":true`)
	d.accepts(token(map[string]any{"shop_user": "u", "Scope": "admin", "SCOPE": "admin"}), `"admin":false`)
	d.accepts(token(map[string]any{"scope": "admin"}), `"user":""`, `"admin":true`)
	for _, wrong := range []any{"", " u", "a\tb", "..", strings.Repeat("x", 129), 1.5, true, []string{"u"}, nil} {
		d.refuses(token(map[string]any{"shop_user": wrong}), "claim shop_user is no user_id")
	}
	d.refuses(token(map[string]any{"shop_user": "u", "scope": 7}), "claim scope cannot be read")
}

func TestAnEmailIsAUserOnlyWhenItIsVerified(t *testing.T) {
	t.Parallel()
	d := setup(t, func(s *auth.Settings) { s.UserClaim = "email" })
	c := d.server.Claims(d.now(), "ada")
	c["email"] = "ada@example.com"
	d.refuses(d.server.Sign(c), "not verified")
	c["email_verified"] = false
	d.refuses(d.server.Sign(c), "not verified")
	c["email_verified"] = true
	d.accepts(d.server.Sign(c), `"user":"ada@example.com"`)
}
