package erasure

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
)

const (
	// minKey is the least length of a key in bytes: 32 random bytes, or more as text.
	minKey = 32
	// maxKeys bounds the keys of a file.
	maxKeys = 8
	// pseudonymBytes is how much of the HMAC a pseudonym has. The chance that two of a million users share one is below 10^-26.
	pseudonymBytes = 16
	prefix         = "erased-"
)

// Keys make pseudonyms. The first key makes new ones, the others find those that were made before a rotation. The zero value has no
// key. Safe for concurrent use.
type Keys struct{ keys []key }

type key struct {
	secret []byte
	id     string // of the key, harmless: see idOf
}

// ParseKeys reads a key file: one key a line. Its errors do not hold a key.
func ParseKeys(text []byte) (Keys, error) {
	var k Keys
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(line) < minKey {
			return Keys{}, fmt.Errorf("key %d has %d bytes, at least %d are needed", len(k.keys)+1, len(line), minKey)
		}
		secret := bytes.Clone(line)
		k.keys = append(k.keys, key{secret, idOf(secret)})
	}
	switch {
	case len(k.keys) == 0:
		return Keys{}, errors.New("it has no key")
	case len(k.keys) > maxKeys:
		return Keys{}, fmt.Errorf("it has %d keys, at most %d are used", len(k.keys), maxKeys)
	}
	return k, nil
}

// Any reports whether there is a key.
func (k Keys) Any() bool { return len(k.keys) > 0 }

// ID names the first key. It tells nothing about the key.
func (k Keys) ID() string {
	if !k.Any() {
		return ""
	}
	return k.keys[0].id
}

// Has reports whether one of the keys has the id.
func (k Keys) Has(id string) bool {
	for _, one := range k.keys {
		if one.id == id {
			return true
		}
	}
	return false
}

// Pseudonym returns the name that replaces a user, made with the first key.
func (k Keys) Pseudonym(user string) string { return k.keys[0].pseudonym(user) }

func (k key) pseudonym(user string) string {
	return prefix + hex.EncodeToString(k.sum("user\x00" + user)[:pseudonymBytes])
}

func (k key) sum(text string) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write([]byte("pasdetrois erasure " + text))
	return h.Sum(nil)
}

func idOf(secret []byte) string { return hex.EncodeToString(key{secret: secret}.sum("key")[:4]) }

var pseudonyms = regexp.MustCompile(`^erased-[0-9a-f]{32}$`)

// IsPseudonym reports whether a user id has the form of a pseudonym.
func IsPseudonym(user string) bool { return pseudonyms.MatchString(user) }
