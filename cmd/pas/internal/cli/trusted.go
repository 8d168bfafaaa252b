package cli

import "pasdetrois/pkg/platform/signing"

// trustedKeys is the variable that the services read, too.
const trustedKeys = "EVENT_TRUSTED_KEYS"

// trusted returns the keys that must have signed events that move money; nil when none are set.
func (a *app) trusted() (*signing.Keys, error) {
	text, err := a.secret(trustedKeys, "")
	if err != nil {
		return nil, err
	}
	keys, err := signing.ParseKeys(text)
	if err != nil {
		return nil, usagef("%s", err)
	}
	return keys, nil
}
