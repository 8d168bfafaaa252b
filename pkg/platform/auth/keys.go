package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// algorithms are the signatures that are accepted: public keys only. With HS256 a public key would pass for a secret.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}

const (
	// refetchAfter is the shortest time between two fetches, whatever the tokens name: otherwise a stranger with invented
	// key ids would make each request a request to the login server.
	refetchAfter = 5 * time.Second
	// fetchWithin bounds one fetch of the keys.
	fetchWithin = 10 * time.Second
	// keysWithin bounds the time for which a request waits for a fetch.
	keysWithin = time.Second
	// maxAnswer is the largest answer of the login server that is read, in bytes.
	maxAnswer = 1 << 20
	// minRSA is the smallest RSA key that is used, in bits (RFC 7518).
	minRSA = 2048
)

// The two reasons why the signature of a token cannot be verified.
var (
	errUnknownKey = errors.New("the login server has no such key, or did not sign this")
	errNoKeys     = errors.New("the keys of the login server cannot be fetched just now")
)

// keys are the public keys of the login server. A fetch that fails leaves those of the last one in use. Safe for concurrent use.
type keys struct {
	issuer string
	client *http.Client
	now    func() time.Time
	within time.Duration // keysWithin

	current atomic.Pointer[keySet] // nil until the first fetch succeeded

	mu    sync.Mutex
	begun time.Time // the last fetch
	err   error     // of the last fetch that ended
	under chan struct{}
}

// keySet is what one fetch brought. Tokens that its keys signed are remembered with them, and forgotten with them.
type keySet struct {
	all      []jose.JSONWebKey
	verified *verified
}

func newKeys(issuer string, now func() time.Time) *keys {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // the next fetch is minutes away
	return &keys{issuer: issuer, now: now, within: keysWithin, err: errors.New("not asked yet"),
		client: &http.Client{Timeout: fetchWithin, Transport: guarded{transport}}}
}

// guarded refuses requests that others could answer, also those that the login server redirects to, and cuts long answers.
type guarded struct{ next http.RoundTripper }

func (p guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !private(r.URL) {
		return nil, fmt.Errorf("%s has no https://", r.URL.Redacted())
	}
	answer, err := p.next.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	}
	return answer, err
}

// verify returns the payload of a token that one of the keys signed. With an unknown key it fetches the keys anew, because the
// login server may have a new one. The error is errUnknownKey or errNoKeys.
func (k *keys) verify(ctx context.Context, token *jose.JSONWebSignature) (payload []byte, by *keySet, err error) {
	by = k.current.Load()
	if by == nil {
		return nil, nil, errNoKeys // the loop fetches
	}
	if payload, ok := by.verify(token); ok {
		return payload, by, nil
	}
	if by.has(token.Signatures[0].Header.KeyID) {
		return nil, nil, errUnknownKey // a stranger's signature: no fetch would change that
	}
	if err := k.refresh(ctx, k.within); err != nil {
		return nil, nil, errNoKeys
	}
	by = k.current.Load()
	if payload, ok := by.verify(token); ok {
		return payload, by, nil
	}
	return nil, nil, errUnknownKey
}

// has reports whether a key has that id. No key has an empty one.
func (s *keySet) has(id string) bool {
	return id != "" && slices.ContainsFunc(s.all, func(key jose.JSONWebKey) bool { return key.KeyID == id })
}

// verify tries the keys that the token may mean. A key that names an algorithm is good for that one only.
func (s *keySet) verify(token *jose.JSONWebSignature) ([]byte, bool) {
	header := token.Signatures[0].Header
	for i := range s.all {
		key := &s.all[i]
		if header.KeyID != "" && key.KeyID != header.KeyID || !fits(key, header.Algorithm) {
			continue
		}
		if payload, err := token.Verify(key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// fits reports whether key may have made a signature of the algorithm.
func fits(key *jose.JSONWebKey, algorithm string) bool {
	if key.Algorithm != "" && key.Algorithm != algorithm {
		return false
	}
	switch of := key.Key.(type) {
	case *rsa.PublicKey:
		return algorithm == string(jose.RS256) && of.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return algorithm == string(jose.ES256) && of.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false
}

// refresh fetches the keys, or waits so long for the fetch that is under way. Soon after a fetch it does nothing, and returns
// the outcome of that one.
func (k *keys) refresh(ctx context.Context, within time.Duration) error {
	k.mu.Lock()
	if k.under == nil {
		if k.now().Sub(k.begun) < refetchAfter {
			defer k.mu.Unlock()
			return k.err
		}
		k.under, k.begun = make(chan struct{}), k.now()
		go k.fetch(context.WithoutCancel(ctx), k.under)
	}
	under := k.under
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case <-under:
		return k.last()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// last returns the error of the last fetch.
func (k *keys) last() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// fetch asks the login server for its keys.
func (k *keys) fetch(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, k.client), fetchWithin)
	defer cancel()
	set, err := k.ask(ctx)
	if now := k.current.Load(); err == nil && (now == nil || !reflect.DeepEqual(now.all, set.all)) {
		k.current.Store(set) // otherwise the tokens that are remembered stay
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err, k.under = err, nil
	close(done)
}

// ask discovers the address of the keys each time, because it may change, and reads them. Keys of other kinds are left out.
func (k *keys) ask(ctx context.Context) (*keySet, error) {
	provider, err := oidc.NewProvider(ctx, k.issuer)
	if err != nil {
		return nil, fmt.Errorf("discover the login server: %w", err)
	}
	var at struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&at); err != nil {
		return nil, fmt.Errorf("discover the login server: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.Keys, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch the login server's keys: %w", err)
	}
	answer, err := k.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch the login server's keys: %w", err)
	}
	defer answer.Body.Close()
	var published struct{ Keys []json.RawMessage }
	if answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	} else {
		err = json.NewDecoder(answer.Body).Decode(&published)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch the login server's keys at %s: %w", at.Keys, err)
	}
	set := &keySet{verified: newVerified()}
	for _, text := range published.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(text) == nil && (key.Use == "" || key.Use == "sig") && usable(&key) {
			set.all = append(set.all, key)
		}
	}
	if len(set.all) == 0 {
		return nil, fmt.Errorf("the login server has no key for RS256, ES256 or EdDSA at %s", at.Keys)
	}
	return set, nil
}

func usable(key *jose.JSONWebKey) bool {
	for _, a := range algorithms {
		if fits(key, string(a)) {
			return true
		}
	}
	return false
}
