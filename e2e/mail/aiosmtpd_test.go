//go:build mail

package mail

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/client"
)

// aiosmtpd is the version that the tests are written for.
const aiosmtpd = "aiosmtpd==1.4.6"

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
func startAiosmtpd(t *testing.T, packages, mode string) (int, <-chan []byte) {
	t.Helper()
	cmd := exec.Command("python3", "server.py", mode)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+packages)
	lines := run(t, cmd)
	return next[took](t, lines).Port, lines
}

// aiosmtpd offers what RFC 6531 and RFC 6152 add, or does not. Each server gets what was agreed on with it.
func TestAiosmtpdGetsWhatWasAgreedOn(t *testing.T) {
	t.Parallel()
	packages := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--root-user-action=ignore", "--target", packages, aiosmtpd).CombinedOutput()
	require.NoError(t, err, "this test needs python3 with pip and a package index to install %s:\n%s", aiosmtpd, out)

	t.Run("SMTPUTF8 and 8BITMIME", func(t *testing.T) {
		t.Parallel()
		port, lines := startAiosmtpd(t, packages, "smtputf8")
		s := start(t, port, map[string]string{"EMAIL_TIMEOUT": "2s", "EMAIL_RETRY_MAX": "1s", "EMAIL_CONCURRENCY": "1"})

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

		s.notify("late", "late-4@customer.example")
		require.Equal(t, "late-4@customer.example", next[took](t, lines).To)
		require.Equal(t, 1, s.email("late", client.EmailSent, 1).Attempts, "a late answer is waited for: nothing is sent twice")

		refused("relay", "rcpt-554-5.7.1@customer.example", client.EmailPending, "5.7.1")
		refused("policy", "data-550-5.7.509@customer.example", client.EmailPending, "5.7.509")
	})
	t.Run("neither", func(t *testing.T) {
		t.Parallel()
		port, lines := startAiosmtpd(t, packages, "plain")
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
