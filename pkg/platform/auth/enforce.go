package auth

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Scheme is the name of the security scheme in OpenAPI documents.
const Scheme = "login"

// Needs is the Security of an operation that needs one of the scopes, as in OpenAPI: a list of alternatives.
func Needs(scopes ...Scope) (alternatives []map[string][]string) {
	for _, s := range scopes {
		alternatives = append(alternatives, map[string][]string{Scheme: {string(s)}})
	}
	return alternatives
}

// Public is the Security of an operation that needs no login.
func Public() []map[string][]string { return []map[string][]string{{}} }

// Enforce makes api reject each request whose caller has none of the scopes that the operation Needs. An operation without
// Security rejects every caller but Anyone: a forgotten line closes an operation, and does not open one. Call Enforce before
// the operations are registered.
func Enforce(api huma.API) {
	api.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) {
		caller, needs := Of(ctx.Context()), ctx.Operation().Security
		switch {
		case caller.meets(needs):
			next(ctx)
		case !caller.known:
			ctx.SetHeader("WWW-Authenticate", challenge("", ""))
			_ = huma.WriteErr(api, ctx, http.StatusUnauthorized, askedForLogin) // the client may be gone
		default:
			one := strings.Join(scopesOf(needs), " or ")
			ctx.SetHeader("WWW-Authenticate", challenge(insufficientScope, "the token needs the scope "+one, scopesOf(needs)...))
			_ = huma.WriteErr(api, ctx, http.StatusForbidden, "the token lacks the scope "+one)
		}
	})
}

const askedForLogin = "log in: send a token of the login server as Authorization: Bearer TOKEN"

// The error codes of RFC 6750.
const (
	invalidRequest    = "invalid_request"
	invalidToken      = "invalid_token"
	insufficientScope = "insufficient_scope"
)

// challenge is the value of WWW-Authenticate. Without a token it has no error code, as RFC 6750 says.
func challenge(code, description string, scopes ...string) string {
	text := `Bearer realm="pas-de-trois"`
	if code != "" {
		text += fmt.Sprintf(", error=%q, error_description=%q", code, description)
	}
	if len(scopes) > 0 {
		text += fmt.Sprintf(", scope=%q", strings.Join(scopes, " "))
	}
	return text
}

// meets reports whether the caller meets one of the alternatives. An empty alternative asks for nothing.
func (c Caller) meets(alternatives []map[string][]string) bool {
	for _, needs := range alternatives {
		scopes, login := needs[Scheme]
		met := !login && len(needs) == 0 || login && len(scopes) > 0
		for _, s := range scopes {
			met = met && c.May(Scope(s))
		}
		if met {
			return true
		}
	}
	return c.known && !c.asked
}

// scopesOf returns the scopes of all alternatives.
func scopesOf(alternatives []map[string][]string) (scopes []string) {
	for _, needs := range alternatives {
		scopes = append(scopes, needs[Scheme]...)
	}
	return scopes
}

// Describe adds the scheme and the answers of Enforce to the OpenAPI document. Call it when all operations are registered.
func Describe(api huma.API) {
	document := api.OpenAPI()
	if document.Components.SecuritySchemes == nil {
		document.Components.SecuritySchemes = make(map[string]*huma.SecurityScheme)
	}
	document.Components.SecuritySchemes[Scheme] = &huma.SecurityScheme{Type: "http", Scheme: "bearer", BearerFormat: "JWT",
		Description: "An access token of the login server. Each operation names the scopes of which the token needs one."}
	problem := document.Components.Schemas.Schema(reflect.TypeFor[huma.ErrorModel](), true, "Error")
	for op := range operations(document) {
		if len(scopesOf(op.Security)) == 0 {
			continue
		}
		for status, description := range map[int]string{http.StatusUnauthorized: "Without a valid token",
			http.StatusForbidden: "The token lacks the scope, or the user is another one", http.StatusServiceUnavailable: "The token cannot be checked just now"} {
			if op.Responses[strconv.Itoa(status)] == nil {
				op.Responses[strconv.Itoa(status)] = &huma.Response{Description: description,
					Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problem}}}
			}
		}
	}
}

// Open removes the needs from the OpenAPI document of a service without logins: generated clients would ask for a token that
// nobody issues.
func Open(api huma.API) {
	for op := range operations(api.OpenAPI()) {
		op.Security = nil
	}
}

// operations are all operations of a document.
func operations(document *huma.OpenAPI) func(yield func(*huma.Operation) bool) {
	return func(yield func(*huma.Operation) bool) {
		for _, at := range document.Paths {
			for _, op := range []*huma.Operation{at.Get, at.Put, at.Post, at.Delete, at.Options, at.Head, at.Patch, at.Trace} {
				if op != nil && !yield(op) {
					return
				}
			}
		}
	}
}
