package kafka_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/kafka"
)

// tokenServer answers the n-th request with answer(n).
func tokenServer(t *testing.T, answer func(n int64, w http.ResponseWriter)) kafka.Access {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, inHeader := r.BasicAuth()
		if !inHeader {
			id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
		}
		if r.FormValue("grant_type") != "client_credentials" || id != "shop" || secret != "s3cret" || r.FormValue("scope") != "kafka read" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error": "invalid_client", "error_description": "no such client"}`))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		answer(asked.Add(1), w)
	}))
	t.Cleanup(server.Close)
	return kafka.Access{Protocol: kafka.SASLSSL, Mechanism: kafka.OAuthBearer, TokenURL: server.URL, ClientID: "shop",
		ClientSecret: "s3cret", Scopes: []string{"kafka", "read"}, Extensions: []string{"logicalCluster=lkc-1"}}
}

func token(t *testing.T, tokens *kafka.Tokens) string {
	t.Helper()
	got, extensions, err := tokens.Token()
	require.NoError(t, err)
	require.Equal(t, map[string]string{"logicalCluster": "lkc-1"}, extensions)
	return got
}

func TestATokenIsKeptUntilShortlyBeforeItEnds(t *testing.T) {
	t.Parallel()
	for seconds, second := range map[int]string{3600: "token-1", 20: "token-2"} {
		tokens, err := kafka.NewTokens(tokenServer(t, func(n int64, w http.ResponseWriter) {
			_, _ = fmt.Fprintf(w, `{"access_token": "token-%d", "token_type": "bearer", "expires_in": %d}`, n, seconds)
		}))
		require.NoError(t, err)
		require.Equal(t, "token-1", token(t, tokens))
		require.Equal(t, second, token(t, tokens), "it is good for %d seconds", seconds)
	}
}

func TestATokenThatIsRefusedSaysWhatToCheckAndNoSecret(t *testing.T) {
	t.Parallel()
	s := tokenServer(t, nil)
	s.ClientSecret = "wrong-secret"
	tokens, err := kafka.NewTokens(s)
	require.NoError(t, err)
	_, _, err = tokens.Token()
	var refused *kafka.TokenError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "no token from "+s.TokenURL+" (invalid_client: no such client): check KAFKA_OAUTH_TOKEN_URL, KAFKA_OAUTH_CLIENT_ID, "+
		"KAFKA_OAUTH_CLIENT_SECRET and KAFKA_OAUTH_SCOPES", err.Error())

	tokens, err = kafka.NewTokens(tokenServer(t, func(_ int64, w http.ResponseWriter) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html>a long page</html>"))
	}))
	require.NoError(t, err)
	_, _, err = tokens.Token()
	require.ErrorContains(t, err, "(it answered 502 Bad Gateway)")
	require.NotContains(t, err.Error(), "html")
}
