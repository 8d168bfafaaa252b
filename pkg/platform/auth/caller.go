// Package auth says who calls an HTTP API, and what the caller may do.
package auth

import (
	"context"
	"slices"

	"pasdetrois/pkg/messages"
)

// Scope is a right that a token gives, a name in its claim "scope" (RFC 9068).
type Scope string

// The scopes of the services' APIs.
const (
	Write   Scope = messages.ScopeWrite   // change what is one's own
	Read    Scope = messages.ScopeRead    // read what is one's own
	ReadAll Scope = messages.ScopeReadAll // read everybody's, as support does
	Admin   Scope = messages.ScopeAdmin   // everything
)

// Caller is who a request comes from. The zero Caller is nobody: without a user and without rights.
type Caller struct {
	User   string // of the token; empty for a token without a user, and for Anyone
	scopes []Scope
	asked  bool // false for Anyone
	known  bool
}

// Anyone is a caller of a service without logins, and the service itself at work on a record or a timer. It has every right.
var Anyone = Caller{known: true}

// User returns a caller with a user's name and the scopes of the token.
func User(name string, scopes ...Scope) Caller {
	return Caller{User: name, scopes: scopes, asked: true, known: true}
}

type key struct{}

// With returns a context whose requests come from c.
func With(ctx context.Context, c Caller) context.Context { return context.WithValue(ctx, key{}, c) }

// Of returns the caller of a context. Work that no request caused, such as a record from Kafka, is Anyone's.
func Of(ctx context.Context) Caller {
	if c, ok := ctx.Value(key{}).(Caller); ok {
		return c
	}
	return Anyone
}

// Asked reports whether the caller had to log in. Anyone had not.
func (c Caller) Asked() bool { return c.asked || !c.known }

// May reports whether the caller has a scope. Admin includes all others, and ReadAll includes Read.
func (c Caller) May(s Scope) bool {
	switch {
	case !c.known:
		return false
	case !c.asked:
		return true
	}
	return slices.Contains(c.scopes, s) || slices.Contains(c.scopes, Admin) ||
		s == Read && slices.Contains(c.scopes, ReadAll)
}

// Reads returns whose rows the caller may read: only the user's own, or everybody's.
func (c Caller) Reads() (user string, only bool) { return c.own(ReadAll) }

// Writes returns whose rows the caller may change: only the user's own, or everybody's.
func (c Caller) Writes() (user string, only bool) { return c.own(Admin) }

func (c Caller) own(all Scope) (user string, only bool) {
	if c.May(all) {
		return "", false
	}
	return c.User, true
}
