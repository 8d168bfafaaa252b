package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"pasdetrois/pkg/platform/secretfile"
)

// Token is the bearer token of a user at the public APIs. One from a file is read anew when the file changes: access tokens
// live for minutes, and another program gets the next one. It is safe for concurrent use.
type Token struct {
	path string // "" when the token is fixed

	mu    sync.Mutex
	value string
	read  fs.FileInfo // of the file when it was read
}

// FixedToken returns a token that does not change.
func FixedToken(value string) (*Token, error) {
	value, err := tokenOf(value)
	return &Token{value: value}, err
}

// TokenFile returns the token of a file, and an error when it cannot be read now. Only its owner may read the file.
func TokenFile(path string) (*Token, error) {
	t := &Token{path: path}
	_, err := t.current(true)
	return t, err
}

// current returns the token. It reads the file when that has changed, or when it must.
func (t *Token) current(must bool) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.path == "" {
		return t.value, nil
	}
	now, err := os.Stat(t.path)
	if err != nil {
		return "", err
	}
	if !must && t.read != nil && os.SameFile(now, t.read) && now.ModTime().Equal(t.read.ModTime()) && now.Size() == t.read.Size() {
		return t.value, nil
	}
	content, err := secretfile.Read(t.path)
	if err != nil {
		return "", err
	}
	value, err := tokenOf(string(content))
	if err != nil {
		return "", fmt.Errorf("%s: %w", t.path, err)
	}
	t.value, t.read = value, now
	return value, nil
}

// tokenOf removes what surrounds a token in a file or a header. The error does not quote the token.
func tokenOf(text string) (string, error) {
	words := strings.Fields(text)
	if len(words) > 0 && strings.EqualFold(words[0], "Bearer") {
		words = words[1:]
	}
	if len(words) != 1 || strings.ContainsFunc(words[0], func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("there is no token: write the access token alone")
	}
	return words[0], nil
}

// SetToken gives the client the token for the public APIs; nil means none. Call SetToken before the first request.
func (c *Client) SetToken(t *Token) { c.token = t }

// TokenError says that there is no token to send.
type TokenError struct{ Err error }

func (e *TokenError) Error() string { return "read the token: " + e.Err.Error() }

func (e *TokenError) Unwrap() error { return e.Err }
