package signing

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"pasdetrois/pkg/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a key with its entry for EVENT_TRUSTED_KEYS.
type pair struct {
	service string
	private ed25519.PrivateKey
	entry   string
}

func newPair(t testing.TB, service string) pair {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return pair{service, private, service + ":" + encoding.EncodeToString(der)}
}

func (p pair) id() string { return KeyID(p.private.Public().(ed25519.PublicKey)) }

func (p pair) signer(t testing.TB) *Signer {
	t.Helper()
	return NewSigner(p.service, p.private)
}

// file writes the key as openssl does.
func (p pair) file(t testing.TB, mode os.FileMode) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.private)
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	require.NoError(t, os.Chmod(name, mode))
	return name
}

func trusting(t testing.TB, entries string) *Keys {
	t.Helper()
	k, err := ParseKeys(entries)
	require.NoError(t, err)
	return k
}

func captured(t testing.TB, order string) messages.Record {
	t.Helper()
	e := messages.PaymentCaptured{OrderID: order, UserID: "ada", Amount: messages.Money{Minor: 129900, Currency: "USD"}, PaymentID: "pay-1"}
	return record(t, e, messages.ServicePayments)
}

func record(t testing.TB, e messages.Event, source string) messages.Record {
	t.Helper()
	r, err := messages.Message{ID: messages.ID(e.Order(), e.EventName(), ""), Event: e, Source: source}.Record()
	require.NoError(t, err)
	return r
}

func sign(t testing.TB, s *Signer, records ...messages.Record) []messages.Record {
	t.Helper()
	signed, err := s.Records(records)
	require.NoError(t, err)
	return signed
}
