// Package authtest starts a real login server in a test: the OpenID provider of zitadel, with users that the test invents.
package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/op"

	"pasdetrois/pkg/platform/auth"
)

// Audience is the name of the services' API at a Server.
const Audience = "pas-de-trois"

// Server is a login server on loopback. It ends with the test.
type Server struct {
	URL string // its issuer

	t        testing.TB
	provider http.Handler
	away     atomic.Bool

	mu     sync.Mutex
	signs  key
	others []key // published, but sign no more
}

// Start starts a Server that signs with ES256.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, signs: newKey(t, jose.ES256)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	provider, err := op.NewProvider(&op.Config{CryptoKey: [32]byte{1}}, kept{server: s}, op.StaticIssuer(s.URL), op.WithAllowInsecure(), op.WithLogger(quiet))
	require.NoError(t, err)
	s.provider = provider
	return s
}

// ServeHTTP implements http.Handler. While the server is away it breaks connections off.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.away.Load() {
		panic(http.ErrAbortHandler)
	}
	s.provider.ServeHTTP(w, r)
}

// Away lets the server answer nothing from now on, or answer again.
func (s *Server) Away(is bool) { s.away.Store(is) }

// Settings are those of a service whose callers log in at the server.
func (s *Server) Settings() auth.Settings {
	return auth.Settings{Mode: auth.OIDC, Issuer: s.URL, Audience: Audience, UserClaim: "sub"}
}

// Token asks the server for a token of a user, and returns it. The grant is that for clients: each user is a client.
func (s *Server) Token(user string, scopes ...auth.Scope) string {
	s.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {user}, "client_secret": {"secret"}, "scope": {joined(scopes)}}
	answer, err := http.PostForm(s.URL+"/oauth/token", form)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	var body struct {
		Token string `json:"access_token"`
	}
	require.Equal(s.t, http.StatusOK, answer.StatusCode)
	require.NoError(s.t, json.NewDecoder(answer.Body).Decode(&body))
	return body.Token
}

// Claims are those of a token that is valid from now on, for an hour.
func (s *Server) Claims(now time.Time, user string, scopes ...auth.Scope) map[string]any {
	return map[string]any{"iss": s.URL, "aud": Audience, "sub": user, "exp": now.Add(time.Hour).Unix(), "nbf": now.Unix(), "iat": now.Unix(),
		"scope": joined(scopes)}
}

func joined(scopes []auth.Scope) string {
	var names []string
	for _, scope := range scopes {
		names = append(names, string(scope))
	}
	return strings.Join(names, " ")
}

// Sign returns a token with the claims, as the server would never make one, signed with the server's key.
func (s *Server) Sign(claims map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Signed(s.t, jose.SigningKey{Algorithm: s.signs.algorithm, Key: s.signs.private}, s.signs.id, claims)
}

// Signed returns a token with the claims, signed with any key. It names the key in its header.
func Signed(t testing.TB, with jose.SigningKey, id string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(with, (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", id))
	require.NoError(t, err)
	body, err := json.Marshal(claims)
	require.NoError(t, err)
	signature, err := signer.Sign(body)
	require.NoError(t, err)
	token, err := signature.CompactSerialize()
	require.NoError(t, err)
	return token
}

// Rotate lets the server sign with a new key. The keys before it stay published.
func (s *Server) Rotate(algorithm jose.SignatureAlgorithm) {
	next := newKey(s.t, algorithm)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signs, s.others = next, append(s.others, s.signs)
}

// Withdraw lets the server publish nothing but the key that signs now.
func (s *Server) Withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = nil
}

// Public returns the public key that signs now, and its id.
func (s *Server) Public() (key crypto.PublicKey, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signs.private.Public(), s.signs.id
}

// key is a key pair of the server.
type key struct {
	id        string
	algorithm jose.SignatureAlgorithm
	private   crypto.Signer
}

var keysMade atomic.Int64

func newKey(t testing.TB, algorithm jose.SignatureAlgorithm) key {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case jose.RS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	require.NoError(t, err)
	return key{id: "key-" + strconv.FormatInt(keysMade.Add(1), 10), algorithm: algorithm, private: private}
}

// ID, SignatureAlgorithm and Key implement op.SigningKey.
func (k key) ID() string                                  { return k.id }
func (k key) SignatureAlgorithm() jose.SignatureAlgorithm { return k.algorithm }
func (k key) Key() any                                    { return k.private }

// published is the public half of a key; it implements op.Key.
type published struct{ key }

func (p published) Algorithm() jose.SignatureAlgorithm { return p.algorithm }
func (p published) Use() string                        { return "sig" }
func (p published) Key() any                           { return p.private.Public() }
