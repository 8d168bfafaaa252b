package email

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// wireAddress returns an address in the form that every mail server accepts: the domain as A-label (xn--…, RFC 5891). The part
// in front of the @ stays; see needsUTF8. An ASCII domain is not checked here: the server decides.
func wireAddress(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || isASCII(address[at+1:]) {
		return address, nil
	}
	domain, err := idna.Lookup.ToASCII(address[at+1:])
	if err != nil {
		return "", fmt.Errorf("the domain of the address is not valid: %w", err)
	}
	return address[:at+1] + domain, nil
}

// Mailbox returns the same text for addresses that lead to one mailbox: in lower case, with the domain as A-label, and
// without the +tag that most servers ignore. It names a mailbox for counting; nothing is sent to it.
func Mailbox(address string) string {
	if wire, err := wireAddress(address); err == nil {
		address = wire
	}
	at := strings.LastIndexByte(address, '@')
	if plus := strings.IndexByte(address, '+'); plus > 0 && plus < at {
		address = address[:plus] + address[at:]
	}
	return strings.ToLower(address)
}

// needsUTF8 reports whether an address of wireAddress may be sent only to a server that speaks SMTPUTF8 (RFC 6531, 3.2).
func needsUTF8(address string) bool { return !isASCII(address) }

var errNoUTF8 = errors.New("the part in front of the @ has characters beyond ASCII, and the mail server does not support SMTPUTF8")

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
