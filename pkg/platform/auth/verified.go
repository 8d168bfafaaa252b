package auth

import (
	"crypto/sha256"
	"sync"
)

// remembered is the most tokens of one half of verified. One takes about 300 bytes.
const remembered = 5_000

// verified remembers tokens whose signature was verified, so that a client's second request costs a hash and not a signature.
//
// It is as safe as verifying again: the key is the SHA-256 of the whole token, so another token does not meet it; the times in
// the token are compared at each request; and it lives no longer than the set of keys that verified them. Refused tokens are
// not remembered. When one half is full, the older half is forgotten. Safe for concurrent use.
type verified struct {
	mu         sync.RWMutex
	young, old map[[sha256.Size]byte]token
}

func newVerified() *verified { return &verified{young: make(map[[sha256.Size]byte]token)} }

func (v *verified) get(of [sha256.Size]byte) (token, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if t, ok := v.young[of]; ok {
		return t, true
	}
	t, ok := v.old[of]
	return t, ok
}

func (v *verified) add(of [sha256.Size]byte, t token) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.young) >= remembered {
		v.young, v.old = make(map[[sha256.Size]byte]token), v.young
	}
	v.young[of] = t
}
