package authtest

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// kept is what the provider asks of its storage for tokens of clients. The embedded interface has the rest, which nobody asks.
type kept struct {
	op.Storage
	server *Server
}

var tokensMade atomic.Int64

// Health implements op.Storage, as the methods below do.
func (kept) Health(context.Context) error { return nil }

func (k kept) SigningKey(context.Context) (op.SigningKey, error) {
	k.server.mu.Lock()
	defer k.server.mu.Unlock()
	return k.server.signs, nil
}

func (k kept) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}, nil
}

func (k kept) KeySet(context.Context) (all []op.Key, err error) {
	k.server.mu.Lock()
	defer k.server.mu.Unlock()
	for _, one := range append([]key{k.server.signs}, k.server.others...) {
		all = append(all, published{one})
	}
	return all, nil
}

// ClientCredentials implements op.ClientCredentialsStorage: every name is a client's.
func (kept) ClientCredentials(_ context.Context, id, secret string) (op.Client, error) {
	return client{storage.WebClient(id, secret)}, nil
}

func (kept) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{"account", Audience}, Scopes: scopes}, nil
}

func (kept) CreateAccessToken(context.Context, op.TokenRequest) (id string, expires time.Time, err error) {
	return strconv.FormatInt(tokensMade.Add(1), 10), time.Now().Add(time.Hour), nil
}

// GetPrivateClaimsFromRequest implements op.CanGetPrivateClaimsFromRequest.
func (kept) GetPrivateClaimsFromRequest(_ context.Context, request op.TokenRequest, _ []string) (map[string]any, error) {
	return map[string]any{"scope": strings.Join(request.GetScopes(), " ")}, nil
}

// client is a client whose tokens are JWTs.
type client struct{ *storage.Client }

func (client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (client) GrantTypes() []oidc.GrantType        { return []oidc.GrantType{oidc.GrantTypeClientCredentials} }
func (client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
