package auditlog

import (
	"context"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/httpx"
)

// Actor is who asked for a change, and from where. Its name has one of these forms, so that no user can pass for another kind
// of actor by a name that was chosen on purpose:
//
//	user:ada                   the login of a request to the public API; "user:" for a login without a user's name
//	admin token 1f2e3d4c       a request to the admin API; the digits begin the token's SHA-256
//	certificate:CN=ada         a request to the admin API over mTLS
//	anyone                     a caller of a service without logins
//	tool:pas by root@host      a command that works in the database itself
type Actor struct {
	Name    string
	Address string // IP address of the connection: with a proxy in between, the proxy's
}

type key struct{}

// With returns a context whose changes are a's.
func With(ctx context.Context, a Actor) context.Context { return context.WithValue(ctx, key{}, a) }

// Of returns the actor of a context: the one given by With, else the login of the request.
func Of(ctx context.Context) Actor {
	if a, ok := ctx.Value(key{}).(Actor); ok {
		return a
	}
	a := Actor{Name: "anyone", Address: httpx.Address(ctx)}
	if caller := auth.Of(ctx); caller.Asked() {
		a.Name = "user:" + caller.User
	}
	return a
}
