package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"pasdetrois/pkg/messages"
)

// leeway is how far the clocks of the login server and of this machine may differ.
const leeway = 60 * time.Second

// token is what the service needs of a verified one.
type token struct {
	caller             Caller
	notBefore, expires time.Time
}

// refused is why a token is not accepted. Its text is for the caller: it has nothing of other callers.
type refused struct{ why string }

func (r *refused) Error() string { return r.why }

// in checks the times of the token.
func (t token) in(now time.Time) error {
	switch {
	case !now.Before(t.expires.Add(leeway)):
		return &refused{"the token has expired: get a new one"}
	case now.Add(leeway).Before(t.notBefore):
		return &refused{"the token is not valid yet: compare the clocks of this client, the login server and the service"}
	}
	return nil
}

// verify returns the caller of a bearer token. The error is a *refused, or errNoKeys.
func (l *Login) verify(ctx context.Context, raw string) (token, error) {
	sum := sha256.Sum256([]byte(raw))
	if set := l.keys.current.Load(); set != nil {
		if t, ok := set.verified.get(sum); ok {
			return t, t.in(l.now())
		}
	}
	var o outcome
	id, err := l.verifier.Verify(context.WithValue(ctx, outcomeKey{}, &o), raw)
	switch {
	case o.err != nil:
		err = o.err // the verifier keeps its text only
		if errors.Is(err, errUnknownKey) {
			err = &refused{err.Error()}
		}
		return token{}, err
	case err != nil:
		return token{}, &refused{err.Error()}
	}
	t, err := l.read(id)
	if err == nil {
		err = t.in(l.now())
	}
	if err == nil {
		o.by.verified.add(sum, t)
	}
	return t, err
}

// outcome is what VerifySignature says beside the verifier, which wraps no errors.
type (
	outcome struct {
		by  *keySet
		err error
	}
	outcomeKey struct{}
)

// VerifySignature implements oidc.KeySet.
func (k *keys) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	parsed, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return nil, err
	}
	payload, by, err := k.verify(ctx, parsed)
	if o, ok := ctx.Value(outcomeKey{}).(*outcome); ok {
		o.by, o.err = by, err
	}
	return payload, err
}

// names is a claim with several names: a list, or a text with spaces between them.
type names []string

func (n *names) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*n = strings.Fields(text)
		return nil
	}
	return json.Unmarshal(data, (*[]string)(n))
}

// read takes the claims of a token whose signature, issuer and audience are verified.
func (l *Login) read(id *oidc.IDToken) (t token, err error) {
	var all map[string]json.RawMessage // of the very names: the fields of a struct would accept SCOPE for scope
	if err := id.Claims(&all); err != nil {
		return t, &refused{"the token's claims cannot be read: " + err.Error()}
	}
	var expires, notBefore float64
	var scope, scp names // scp is that of Okta and Entra
	for name, into := range map[string]any{"exp": &expires, "nbf": &notBefore, "scope": &scope, "scp": &scp} {
		if text, ok := all[name]; ok && json.Unmarshal(text, into) != nil {
			return t, &refused{"the token's claim " + name + " cannot be read"}
		}
	}
	if expires <= 0 {
		return t, &refused{"the token has no exp"}
	}
	t.expires, t.notBefore = seconds(expires), seconds(notBefore)
	var scopes []Scope
	for _, s := range append(scope, scp...) {
		scopes = append(scopes, Scope(s))
	}
	t.caller = User("", scopes...)
	text, given := all[l.settings.UserClaim]
	if !given && t.caller.May(Admin) {
		return t, nil // a program of the operator's: nothing is its own
	}
	if t.caller.User, err = user(text); err != nil {
		return t, &refused{fmt.Sprintf("the token's claim %s is no user_id: %s", l.settings.UserClaim, err)}
	}
	if confirmed := string(all["email_verified"]); l.settings.UserClaim == "email" && confirmed != "true" && confirmed != `"true"` {
		return t, &refused{"the token's email is not verified, so it could be another user's"}
	}
	return t, nil
}

// user reads a user_id, by the contract's rules for one. A number counts as its digits, as in messages.
func user(claim json.RawMessage) (string, error) {
	var text string
	var number json.Number
	if json.Unmarshal(claim, &text) != nil {
		if json.Unmarshal(claim, &number) != nil || strings.ContainsAny(number.String(), ".eE") {
			return "", errors.New("it is missing, or neither a text nor a whole number")
		}
		text = number.String()
	}
	return text, messages.CheckID(text)
}

// seconds reads a NumericDate (RFC 7519). The bounds keep it within int64.
func seconds(s float64) time.Time { return time.UnixMilli(int64(min(max(s, 0), 1e12) * 1000)) }
