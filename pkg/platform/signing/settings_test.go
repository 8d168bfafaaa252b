package signing

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSettingsAreRefusedWithOneLine(t *testing.T) {
	t.Parallel()
	orders, payments := newPair(t, "orders"), newPair(t, "payments")
	both := orders.entry + "," + payments.entry
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("not a key"), 0o600))
	for name, c := range map[string]struct {
		settings Settings
		problem  string // "" = none
	}{
		"nothing set":            {Settings{}, ""},
		"a key":                  {Settings{KeyFile: payments.file(t, 0o600)}, ""},
		"a key and trusted keys": {Settings{KeyFile: payments.file(t, 0o400), Trusted: both}, ""},
		"one key a line":         {Settings{Trusted: strings.ReplaceAll(both, ",", "\n") + "\n"}, ""},
		"others may read it":     {Settings{KeyFile: payments.file(t, 0o644)}, "so others may read it: chmod 600"},
		"no such file":           {Settings{KeyFile: text + "2"}, "no such file"},
		"no key in it":           {Settings{KeyFile: text}, "has no PRIVATE KEY in PEM"},
		"a key nobody trusts":    {Settings{KeyFile: newPair(t, "payments").file(t, 0o600), Trusted: both}, "is not among EVENT_TRUSTED_KEYS"},
		"a service without keys": {Settings{Trusted: payments.entry}, "there is no key of orders"},
		"an unknown service":     {Settings{Trusted: "shipping:x"}, `"shipping:x" is not SERVICE:KEY`},
		"no base64":              {Settings{Trusted: "payments:*"}, "the key of payments: it is not base64"},
		"another kind of key":    {Settings{Trusted: "payments:AAAA"}, "the key of payments: it is no Ed25519 public key"},
	} {
		err := c.settings.Validate()
		if c.problem == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.problem, name)
		require.NotContains(t, err.Error(), "\n", name)
	}
	require.ErrorContains(t, Settings{Trusted: both}.Signs(), "needs EVENT_SIGNING_KEY_FILE")
	require.NoError(t, Settings{Trusted: both, KeyFile: "x"}.Signs())
	require.NoError(t, Settings{}.Signs())
}

func TestTheKeyOfAnotherServiceIsRefused(t *testing.T) {
	t.Parallel()
	orders, payments := newPair(t, "orders"), newPair(t, "payments")
	swapped := Settings{KeyFile: payments.file(t, 0o600), Trusted: orders.entry + "," + payments.entry}
	require.NoError(t, swapped.Validate(), "the settings do not say whose they are")
	_, err := swapped.Signer("orders")
	require.ErrorContains(t, err, "EVENT_SIGNING_KEY_FILE: EVENT_TRUSTED_KEYS does not have its key "+payments.id()+" as one of orders")
	for _, service := range []string{"payments", "notifications"} { // notifications signs nothing
		_, err = swapped.Signer(service)
		require.NoError(t, err)
	}
}

// The example of RFC 8410, as openssl prints it.
func TestKeysOfOpenSSLAreRead(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(name, []byte(`-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
`), 0o600))
	public := "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
	settings := Settings{KeyFile: name, Trusted: "payments:" + public + ",orders:" + public}
	require.NoError(t, settings.Validate())
	signer, err := settings.Signer("payments")
	require.NoError(t, err)
	keys, err := settings.Keys()
	require.NoError(t, err)
	_, err = keys.Decode(sign(t, signer, captured(t, "o1"))[0])
	require.NoError(t, err)
}
