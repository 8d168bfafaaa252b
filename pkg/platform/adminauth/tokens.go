package adminauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"

	"pasdetrois/pkg/platform/secretfile"
)

// hash is the SHA-256 of a token. The tokens themselves are not kept in memory.
type hash [sha256.Size]byte

// name is how logs name a token. Two tokens that are exchanged so stay apart.
func (h hash) name() string { return hex.EncodeToString(h[:4]) }

// hashes are those of the tokens in a file.
type hashes []hash

// match returns the hash of the token among them. It compares all of them in constant time, so that the time of an answer says
// nothing about a token.
func (known hashes) match(token string) (found hash, ok bool) {
	given := hash(sha256.Sum256([]byte(token)))
	equal := 0
	for _, h := range known {
		equal |= subtle.ConstantTimeCompare(h[:], given[:])
	}
	return given, equal == 1
}

// maxTokens is one token, and the one that replaces it.
const maxTokens = 2

// readTokens reads the tokens in the file that the setting names. No error holds a token.
func readTokens(setting, path string) (hashes, error) {
	content, err := secretfile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	lines := secretfile.Lines(content)
	if len(lines) == 0 || len(lines) > maxTokens {
		return nil, fmt.Errorf("%s: %s has %d lines instead of one token, or two while they are exchanged", setting, path, len(lines))
	}
	known := make(hashes, len(lines))
	for i, token := range lines {
		if err := secretfile.CheckToken(token); err != nil {
			return nil, fmt.Errorf("%s: line %d of %s: %w", setting, i+1, path, err)
		}
		known[i] = sha256.Sum256([]byte(token))
	}
	return known, nil
}

func watchTokens(log *slog.Logger, setting, path string) (*secretfile.Watched[hashes], error) {
	return secretfile.Watch(log, func() (hashes, error) { return readTokens(setting, path) }, path)
}
