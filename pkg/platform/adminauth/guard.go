package adminauth

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/secretfile"
)

// Guard lets operators use an admin server. Safe for concurrent use.
type Guard struct {
	settings Settings
	log      *slog.Logger
	seldom   httpx.Seldom
	tokens   *secretfile.Watched[hashes]      // nil: no token is set
	metrics  *secretfile.Watched[hashes]      // nil: /metrics is open
	tls      *secretfile.Watched[*tls.Config] // nil: the server speaks no TLS
}

// Wrap returns next behind the guard. Requests of an operator carry the operator's name for the audit log.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor, reason := g.operator(r)
		if reason == "" {
			next.ServeHTTP(w, r.WithContext(auditlog.With(r.Context(), auditlog.Actor{Name: actor, Address: httpx.Address(r.Context())})))
			return
		}
		switch r.URL.Path {
		case "/livez", "/readyz":
			next.ServeHTTP(w, httpx.Stranger(r))
			return
		case "/metrics":
			if g.metrics == nil {
				next.ServeHTTP(w, r)
				return
			}
			if token, ok := httpx.Bearer(r); ok {
				if _, ok := g.metrics.Get().match(token); ok {
					next.ServeHTTP(w, r)
					return
				}
			}
		}
		g.refuse(w, r, reason)
	})
}

// Describe adds to an OpenAPI document what the guard asks for. Call it after the last operation.
func (g *Guard) Describe(api huma.API) {
	if !g.settings.Asks() {
		return
	}
	schemes := map[string]*huma.SecurityScheme{}
	if g.tokens != nil {
		schemes["admin_token"] = &huma.SecurityScheme{Type: "http", Scheme: "bearer"}
	}
	if g.settings.ClientCAFile != "" {
		schemes["certificate"] = &huma.SecurityScheme{Type: "mutualTLS"}
	}
	document := api.OpenAPI()
	document.Components.SecuritySchemes = schemes
	for _, name := range slices.Sorted(maps.Keys(schemes)) {
		document.Security = append(document.Security, map[string][]string{name: {}})
	}
}

// The reasons for refusing a request.
const (
	noToken    = "the admin API needs a token or a client certificate: none was given"
	wrongToken = "the token is not one of the admin API"
)

// operator returns how the audit log names the operator, or the reason for refusing the request.
func (g *Guard) operator(r *http.Request) (actor, refused string) {
	token, given := httpx.Bearer(r)
	if given && g.tokens != nil {
		if h, ok := g.tokens.Get().match(token); ok {
			return "admin token " + h.name(), ""
		}
		return "", wrongToken
	}
	switch subject, ok := certificate(r); {
	case ok && g.settings.ClientCAFile != "":
		return "certificate:" + subject, ""
	case !g.settings.Asks():
		return "anyone", ""
	case g.settings.LocalUser && isOwnUser(r):
		return "local user", ""
	case given:
		return "", wrongToken
	}
	return "", noToken
}

// certificate returns the subject of the verified client certificate. One that has expired since the handshake counts no more.
func certificate(r *http.Request) (subject string, ok bool) {
	state, ok := httpx.TLS(r.Context())
	if !ok || len(state.VerifiedChains) == 0 {
		return "", false
	}
	leaf := state.VerifiedChains[0][0]
	return leaf.Subject.String(), time.Now().Before(leaf.NotAfter)
}

// refuse answers 401, and logs a line every few seconds at most.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, reason string) {
	challenge := `Bearer realm="admin"`
	if reason == wrongToken {
		challenge += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Set("Cache-Control", "no-store")
	httpx.Problem(w, http.StatusUnauthorized, reason)
	g.seldom.Warn(g.log, "a request to the admin API from "+httpx.Address(r.Context())+" was refused", errors.New(reason))
}
