package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/wait"
)

const (
	// refreshEvery is the interval between two fetches of the keys: a key that the login server withdraws is accepted for no
	// longer, unless the login server is away.
	refreshEvery = 5 * time.Minute
	// retryFirst and retryMost bound the pause after a fetch that failed.
	retryFirst, retryMost = refetchAfter, 15 * time.Second
	// retryAfter is the Retry-After of a request whose token cannot be verified, in seconds.
	retryAfter = "5"
)

// Login verifies the bearer tokens of a service's callers. With a nil Login callers need no token, and each is Anyone. Its methods are
// safe for concurrent use.
type Login struct {
	settings Settings
	keys     *keys
	verifier *oidc.IDTokenVerifier
	now      func() time.Time
	log      *slog.Logger

	refreshEvery, retryFirst time.Duration
}

// New returns the Login of valid settings, nil unless AUTH=oidc. It fetches nothing yet; Run does. Times are compared with now.
func New(s Settings, now func() time.Time, log *slog.Logger) *Login {
	if !s.On() {
		return nil
	}
	l := &Login{settings: s, keys: newKeys(s.Issuer, now), now: now, log: log, refreshEvery: refreshEvery, retryFirst: retryFirst}
	var accepted []string
	for _, a := range algorithms {
		accepted = append(accepted, string(a))
	}
	l.verifier = oidc.NewVerifier(s.Issuer, l.keys, &oidc.Config{ClientID: s.Audience, SupportedSigningAlgs: accepted,
		SkipExpiryCheck: true}) // token.in checks the times, with the same leeway on both ends
	return l
}

// Run fetches the keys of the login server now and then, until ctx ends.
func (l *Login) Run(ctx context.Context) error {
	for failures := 0; ; {
		pause := l.refreshEvery
		if err := l.keys.refresh(ctx, fetchWithin); err != nil && ctx.Err() == nil {
			failures++
			pause = wait.Backoff(failures, l.retryFirst, retryMost)
			l.log.Warn("the login server's keys cannot be fetched, trying again", "attempt", failures, "err", err)
		} else {
			failures = 0
		}
		if !wait.Sleep(ctx, pause) {
			return nil
		}
	}
}

// Check is the readiness check. It fails without any keys. When they could not be fetched anew it passes with a remark.
func (l *Login) Check(context.Context) error {
	err := l.keys.last()
	if err == nil {
		return nil
	}
	err = fmt.Errorf("the keys of the login server %s cannot be fetched: %w", l.settings.Issuer, err)
	if l.keys.current.Load() != nil {
		return remark{err}
	}
	return err
}

// remark is the result of a check that passed and has something to say.
type remark struct{ error }

func (remark) Passed() bool { return true }

// Wrap returns a handler whose requests have a caller. A request without a token is nobody's: Enforce rejects it where a login
// is needed. Such a request may only read, so a body of a stranger is not read. A request with a token that is not accepted is
// answered here:
//
//	401  the token is not accepted, or there is none and the request is no read    400  two tokens
//	503  the keys to verify the token with cannot be fetched; with Retry-After
//
// A stream of events ends when its token does.
func (l *Login) Wrap(next http.Handler) http.Handler {
	if l == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var t token
		var err error
		raw, _ := httpx.Bearer(r) // a proxy in front may use another scheme
		switch {
		case len(r.Header.Values("Authorization")) > 1:
			err = errTwoTokens
		case raw != "":
			t, err = l.verify(r.Context(), raw)
		}
		var not *refused
		switch {
		case errors.Is(err, errTwoTokens):
			answer(w, http.StatusBadRequest, challenge(invalidRequest, err.Error()), err.Error())
		case errors.As(err, &not):
			answer(w, http.StatusUnauthorized, challenge(invalidToken, "the token is not accepted"), not.Error())
		case err != nil:
			w.Header().Set("Retry-After", retryAfter)
			answer(w, http.StatusServiceUnavailable, "", "the token cannot be verified just now: "+errNoKeys.Error())
		case raw == "" && r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions:
			answer(w, http.StatusUnauthorized, challenge("", ""), askedForLogin)
		default:
			ctx := With(r.Context(), t.caller)
			if raw != "" && mayStream(r) {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, t.expires.Add(leeway).Sub(l.now()))
				defer cancel()
			}
			inner := r.WithContext(ctx)
			next.ServeHTTP(w, inner)
			r.Pattern = inner.Pattern // metrics and traces read it
		}
	})
}

// mayStream reports whether the answer may be a stream of events. It holds for every request that a service answers with one, and
// for some that get JSON: those end with their token too.
func mayStream(r *http.Request) bool {
	return strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/event-stream")
}

var errTwoTokens = errors.New("the request has more than one Authorization header: send one token")

// answer writes a problem with its challenge, which may be empty.
func answer(w http.ResponseWriter, status int, challenge, detail string) {
	if challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	httpx.Problem(w, status, detail)
}
