package signing

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/secretfile"
)

// Settings say with which key a service signs, and which keys it trusts.
type Settings struct {
	KeyFile string `env:"EVENT_SIGNING_KEY_FILE" desc:"file with the Ed25519 key, PKCS#8 in PEM, that signs events that move money; others may not read it; none: nothing is signed"`
	Trusted string `env:"EVENT_TRUSTED_KEYS" desc:"public keys that such events must be signed with, SERVICE:KEY, comma separated; none: unsigned ones are accepted"`
}

// Validate returns all problems joined. It reads the key's file.
func (s Settings) Validate() error {
	key, err := s.key()
	trusted, bad := s.Keys()
	if err != nil || bad != nil {
		return errors.Join(err, bad)
	}
	if key != nil && trusted != nil && !trusted.has(KeyID(key.Public().(ed25519.PublicKey))) {
		return fmt.Errorf("EVENT_SIGNING_KEY_FILE: its key %s is not among EVENT_TRUSTED_KEYS: readers would park all that it signs",
			KeyID(key.Public().(ed25519.PublicKey)))
	}
	return nil
}

// Signs returns an error when the settings ask for signatures that this service would not make itself.
func (s Settings) Signs() error {
	if s.Trusted != "" && s.KeyFile == "" {
		return errors.New("EVENT_TRUSTED_KEYS needs EVENT_SIGNING_KEY_FILE in this service: readers would park what it publishes")
	}
	return nil
}

// Signer returns the signer of a service, nil without a key. The key of another service is refused.
func (s Settings) Signer(service string) (*Signer, error) {
	key, err := s.key()
	if key == nil || err != nil {
		return nil, err
	}
	trusted, err := s.Keys()
	if err != nil {
		return nil, err
	}
	own := owner{service, KeyID(key.Public().(ed25519.PublicKey))}
	if trusted != nil && slices.Contains(messages.Signers(), service) && !trusted.any(func(o owner) bool { return o == own }) {
		return nil, fmt.Errorf("EVENT_SIGNING_KEY_FILE: EVENT_TRUSTED_KEYS does not have its key %s as one of %s: readers would park all that it signs",
			own.id, service)
	}
	return NewSigner(service, key), nil
}

// key reads the file. It is nil without a file.
func (s Settings) key() (ed25519.PrivateKey, error) {
	if s.KeyFile == "" {
		return nil, nil
	}
	content, err := secretfile.Read(s.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("EVENT_SIGNING_KEY_FILE: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("EVENT_SIGNING_KEY_FILE: %s has no PRIVATE KEY in PEM: make one with openssl genpkey -algorithm ed25519", s.KeyFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("EVENT_SIGNING_KEY_FILE: %s is no PKCS#8 key", s.KeyFile) // the cause may quote the key
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("EVENT_SIGNING_KEY_FILE: %s has no Ed25519 key", s.KeyFile)
	}
	return key, nil
}

// Keys returns the trusted keys, nil when none are set.
func (s Settings) Keys() (*Keys, error) { return ParseKeys(s.Trusted) }

// ParseKeys reads keys, SERVICE:KEY each, with commas or space between. KEY is the public key as a PEM file has it between its
// first and last line. It returns nil for an empty text. Each service that signs needs a key, and may have several.
func ParseKeys(text string) (*Keys, error) {
	entries := strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' })
	if len(entries) == 0 {
		return nil, nil
	}
	k := &Keys{of: map[owner]ed25519.PublicKey{}, roots: map[root]*checked{}}
	for _, entry := range entries {
		service, encoded, _ := strings.Cut(entry, ":")
		if !slices.Contains(messages.Signers(), service) {
			return nil, fmt.Errorf("EVENT_TRUSTED_KEYS: %q is not SERVICE:KEY with a service that signs: %s", entry, strings.Join(messages.Signers(), ", "))
		}
		key, err := publicKey(encoded)
		if err != nil {
			return nil, fmt.Errorf("EVENT_TRUSTED_KEYS: the key of %s: %w", service, err)
		}
		k.of[owner{service, KeyID(key)}] = key
	}
	for _, service := range messages.Signers() {
		if !k.any(func(o owner) bool { return o.service == service }) {
			return nil, fmt.Errorf("EVENT_TRUSTED_KEYS: there is no key of %s, so its events would all be parked", service)
		}
	}
	return k, nil
}

func publicKey(encoded string) (ed25519.PublicKey, error) {
	der, err := encoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if key, ok := parsed.(ed25519.PublicKey); ok && err == nil {
		return key, nil
	}
	return nil, errors.New("it is no Ed25519 public key: take the line between BEGIN and END of openssl pkey -pubout")
}

// has reports whether a key of that id is trusted.
func (k *Keys) has(id string) bool { return k.any(func(o owner) bool { return o.id == id }) }

func (k *Keys) any(match func(owner) bool) bool {
	for o := range k.of {
		if match(o) {
			return true
		}
	}
	return false
}
