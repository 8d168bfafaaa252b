package signing

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"pasdetrois/pkg/messages"
)

// signature is the value of the header.
type signature struct {
	key  string // the key's id
	sig  []byte
	at   int
	path []byte
}

// encoding is base64 with one text for each value.
var encoding = base64.StdEncoding.Strict()

// KeyID names a public key in headers, logs and listings.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

func (s signature) String() string {
	text := "v=1; keyid=" + s.key + "; sig=" + encoding.EncodeToString(s.sig)
	if len(s.path) > 0 {
		text += "; at=" + strconv.Itoa(s.at) + "; path=" + encoding.EncodeToString(s.path)
	}
	return text
}

// errMalformed is the error of parse.
var errMalformed = errors.New("its header " + messages.SignatureHeader + " cannot be read")

// parse reads what String wrote, and nothing else.
func parse(text string) (signature, error) {
	if len(text) > 2*maxPath {
		return signature{}, errMalformed
	}
	var s signature
	var err error
	fields := strings.Split(text, "; ")
	value := func(i int, name string) string {
		if i >= len(fields) {
			return ""
		}
		v, ok := strings.CutPrefix(fields[i], name+"=")
		if !ok || v == "" {
			err = errMalformed
		}
		return v
	}
	bytes := func(text string) []byte {
		b, bad := encoding.DecodeString(text)
		if bad != nil {
			err = errMalformed
		}
		return b
	}
	if value(0, "v") != "1" {
		return signature{}, errMalformed
	}
	s.key, s.sig = value(1, "keyid"), bytes(value(2, "sig"))
	if len(fields) > 3 {
		at, bad := strconv.ParseUint(value(3, "at"), 10, 16)
		s.at, s.path = int(at), bytes(value(4, "path"))
		if bad != nil {
			err = errMalformed
		}
	}
	if err != nil || s.String() != text {
		return signature{}, errMalformed
	}
	return s, nil
}
