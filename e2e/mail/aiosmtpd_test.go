//go:build mail

package mail

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/toolbox/client"
)

// took is what server.py tells.
type took struct {
	Port       int
	Refused    string
	To, Sender string
	Options    []string
	Text       string
	ASCII      bool
}

// startAiosmtpd starts server.py in a mode and returns its port and its lines.
func startAiosmtpd(t *testing.T, mode string) (int, <-chan []byte) {
	t.Helper()
	python := os.Getenv("AIOSMTPD")
	require.NotEmpty(t, python, "AIOSMTPD names a python that has aiosmtpd, as `make test SUITE=mail` installs it")
	lines := run(t, exec.Command(python, "server.py", mode))
	return next[took](t, lines).Port, lines
}

// aiosmtpd offers what RFC 6531 and RFC 6152 add, or does not. Each server gets what was agreed on with it.
func TestAiosmtpdGetsWhatWasAgreedOn(t *testing.T) {
	t.Parallel()
	t.Run("SMTPUTF8 and 8BITMIME", func(t *testing.T) {
		t.Parallel()
		port, lines := startAiosmtpd(t, "smtputf8")
		s := start(t, port, map[string]string{"EMAIL_TIMEOUT": "10s", "EMAIL_RETRY_MAX": "1s", "EMAIL_CONCURRENCY": "1"})

		s.notify("ascii", "ada@exämple.com")
		got := next[took](t, lines)
		require.Equal(t, "ada@xn--exmple-cua.com", got.To)
		require.NotContains(t, got.Options, "SMTPUTF8", "nothing here needs it, and a relay behind may not have it")
		require.True(t, got.ASCII)

		s.notify("utf8", "jürgen@exämple.com")
		got = next[took](t, lines)
		require.Equal(t, "jürgen@xn--exmple-cua.com", got.To)
		require.Contains(t, got.Options, "SMTPUTF8")
		s.email("utf8", client.EmailSent, 1)

		refused := func(order, to, status, reason string) {
			t.Helper()
			s.notify(order, to)
			for next[took](t, lines).Refused != to { // others are tried again meanwhile
			}
			require.Contains(t, s.email(order, status, 1).Reason, reason)
		}
		refused("unknown", "rcpt-550-5.1.1@customer.example", client.EmailFailed, "smtp_refused: ")
		refused("full", "data-552-5.2.2@customer.example", client.EmailFailed, "smtp_refused: ")

		s.notify("late", "late-12@customer.example") // later than EMAIL_TIMEOUT, which is long enough for a busy machine
		require.Equal(t, "late-12@customer.example", next[took](t, lines).To)
		require.Equal(t, 1, s.email("late", client.EmailSent, 1).Attempts, "a late answer is waited for: nothing is sent twice")

		refused("relay", "rcpt-554-5.7.1@customer.example", client.EmailPending, "5.7.1")
		refused("policy", "data-550-5.7.509@customer.example", client.EmailPending, "5.7.509")
	})
	t.Run("neither", func(t *testing.T) {
		t.Parallel()
		port, lines := startAiosmtpd(t, "plain")
		s := start(t, port, nil)
		s.notify("utf8", "jürgen@example.com")
		require.Contains(t, s.email("utf8", client.EmailFailed, 1).Reason, "invalid_email: the part in front of the @")
		s.notify("idn", "ada@exämple.com")
		got := next[took](t, lines)
		require.Equal(t, "ada@xn--exmple-cua.com", got.To, "the first that this server heard of anything")
		require.Empty(t, got.Options)
		require.True(t, got.ASCII, "a text beyond ASCII is written in ASCII: %s", got.Text)
	})
}
