package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

const (
	defaultDomain = "example.com"
	maxLocalPart  = 64 // RFC 5321, 4.5.3.1.1
)

// DefaultAddress returns the address of a user when the message has none: the user id at a domain that is reserved
// for examples. An id that cannot stand in an address as it is keeps its harmless characters and gains a fingerprint, so
// that no two users share an address by accident.
func DefaultAddress(userID string) string {
	local := localPart(userID)
	if local != userID || len(local) > maxLocalPart {
		sum := sha256.Sum256([]byte(userID))
		fingerprint := hex.EncodeToString(sum[:4])
		if room := maxLocalPart - 1 - len(fingerprint); len(local) > room {
			local = strings.TrimRight(local[:room], ".-")
		}
		local = strings.TrimLeft(local+"-"+fingerprint, "-")
	}
	return local + "@" + defaultDomain
}

// localPart keeps letters, digits, _ and single inner dots and dashes; every other run becomes one dash.
func localPart(s string) string {
	var b strings.Builder
	last := byte('.')
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_':
		case c == '.' || c == '-':
			if last == '.' {
				continue
			}
		default:
			if c = '-'; last == '-' || last == '.' {
				continue
			}
		}
		b.WriteByte(c)
		last = c
	}
	return strings.TrimRight(b.String(), ".-")
}
