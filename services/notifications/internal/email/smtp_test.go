package email_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/email"
)

func TestMain(m *testing.M) {
	if env := os.Getenv(serverEnv); env != "" {
		fmt.Fprintln(os.Stderr, "mail server:", serve(env))
		os.Exit(1)
	}
	testkit.Main(m)
}

const from = "orders@pasdetrois.invalid"

func hello(to string) domain.Email {
	return domain.Email{MessageID: "<4f8c5790-f8a7-55eb-963c-92e13fe9c9fc@pasdetrois.invalid>", To: to,
		Subject: "Order 1001 is confirmed", Message: "Order 1001 confirmed!\n.\nEnjoy — ünïcode.", OrderID: "1001",
		Kind: "confirmed", Date: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
}

func sender(t *testing.T, s *mailServer, url string, change ...func(*email.SMTPConfig)) *email.SMTP {
	t.Helper()
	cfg := email.SMTPConfig{URL: strings.ReplaceAll(url, "ADDR", s.cfg.Addr), From: from,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.cert}}
	for _, c := range change {
		c(&cfg)
	}
	smtp, err := email.NewSMTP(cfg)
	require.NoError(t, err)
	return smtp
}

const inClear = "smtp://ADDR?tls=none"

// noted is for tests that do not ask when the text was complete.
func noted() {}

func requireTransient(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.NotEqual(t, fault.Permanent, fault.KindOf(err), err)
}

func TestSMTPAccepted(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	require.NoError(t, sender(t, s, inClear).Send(t.Context(), hello("ann@example.org"), noted))

	got := s.next()
	require.Equal(t, from, got.From)
	require.Equal(t, "ann@example.org", got.To)
	m, err := mail.ReadMessage(strings.NewReader(got.Data))
	require.NoError(t, err)
	require.Equal(t, "<4f8c5790-f8a7-55eb-963c-92e13fe9c9fc@pasdetrois.invalid>", m.Header.Get("Message-ID"))
	require.Equal(t, "Order 1001 is confirmed", m.Header.Get("Subject"))
	require.Equal(t, "<ann@example.org>", m.Header.Get("To"))
	require.Equal(t, "<"+from+">", m.Header.Get("From"))
	require.Equal(t, "auto-generated", m.Header.Get("Auto-Submitted"))
	date, err := m.Header.Date()
	require.NoError(t, err)
	require.True(t, date.Equal(hello("").Date))
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	require.NoError(t, err)
	require.Equal(t, hello("").Message, strings.TrimSpace(strings.ReplaceAll(string(body), "\r\n", "\n")))
}

func TestSMTPSubjectInAnyScript(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	e := hello("ann@example.org")
	e.Subject = "Order 注文-1001 is confirmed ✓ " + strings.Repeat("ü", 150)
	require.NoError(t, sender(t, s, inClear).Send(t.Context(), e, noted))
	m, err := mail.ReadMessage(strings.NewReader(s.next().Data))
	require.NoError(t, err)
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	require.NoError(t, err)
	require.Equal(t, e.Subject, subject)
}

func TestSMTPRefusedForGood(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	for to, words := range map[string]string{"unknown@example.org": "no such user", "spam@example.org": "this looks like spam"} {
		err := sender(t, s, inClear).Send(t.Context(), hello(to), noted)
		require.Equal(t, fault.Permanent, fault.KindOf(err), err)
		require.Equal(t, "smtp_refused", fault.Reason(err))
		require.ErrorContains(t, err, words)
		require.Equal(t, to, s.next().Refused)
	}
}

// What is about this address or this text is final. What is about our set-up waits until somebody repairs it: the answers
// are those of Postfix 3.7 (relay denied, client blocked), Exchange Online (5.4.1, 5.7.x after the text) and RFC 5248.
func TestSMTPRefusalsAreSortedByTheirCode(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	smtp := sender(t, s, inClear)
	for name, final := range map[string]bool{
		"rcpt-550-1-1": true, "rcpt-550-1-10": true, "rcpt-553-1-3": true, "rcpt-550-2-1": true, "rcpt-552-2-2": true, "rcpt-550-6-7": true,
		"data-554-6-0": true, "data-552-3-4": true, "data-550-1-1": true,
		"rcpt-554-7-1": false, "rcpt-550-7-1": false, "rcpt-530-7-0": false, "rcpt-550-7-26": false, "rcpt-550-4-1": false,
		"rcpt-550-5-1": false, "rcpt-550-3-0": false, "rcpt-553-1-8": false, "rcpt-501-1-7": false, "data-554-7-1": false, "data-550-7-509": false,
		"data-552-7-0": false, "rcpt-554-0-0": false, "rcpt-530-0-0": false, "data-554-0-0": false,
	} {
		err := smtp.Send(t.Context(), hello(name+"@example.org"), noted)
		require.Equal(t, final, fault.KindOf(err) == fault.Permanent, "%s: %v", name, err)
	}
}

// Without an enhanced code a 550 is final for an address that is refused alone, and a matter of the set-up when the
// server refuses different recipients alike, or has not taken anything yet.
func TestSMTPServerWithoutEnhancedCodes(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	smtp := sender(t, s, inClear)
	refused := func(name string) bool {
		err := smtp.Send(t.Context(), hello("rcpt-550-0-0-"+name+"@example.org"), noted)
		require.Error(t, err)
		return fault.KindOf(err) == fault.Permanent
	}
	require.False(t, refused("a"), "nothing was taken yet: it may be the set-up")
	require.NoError(t, smtp.Send(t.Context(), hello("ann@example.org"), noted))
	require.True(t, refused("a"), "others get through")
	require.False(t, refused("b"), "two in a row: it may be the set-up")
	require.False(t, refused("a"))
	require.NoError(t, smtp.Send(t.Context(), hello("ann@example.org"), noted))
	require.True(t, refused("b"))
}

// The server here speaks no SMTPUTF8, as Amazon SES. The domain has an ASCII form that every server takes.
func TestSMTPAddressesBeyondASCII(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	smtp := sender(t, s, inClear)
	require.NoError(t, smtp.Send(t.Context(), hello("ann@exämple.com"), noted))
	got := s.next()
	require.Equal(t, "ann@xn--exmple-cua.com", got.To)
	require.Contains(t, got.Data, "<ann@xn--exmple-cua.com>")
	for _, to := range []string{"jörg@example.com", "ann@exa mple.ü", "ann@\u2024.ü"} {
		err := smtp.Send(t.Context(), hello(to), noted)
		require.Equal(t, "invalid_email", fault.Reason(err), "%s: %v", to, err)
	}
	require.ErrorContains(t, smtp.Send(t.Context(), hello("jörg@example.com"), noted), "SMTPUTF8")
}

func TestSMTPTryAgainLater(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	smtp := sender(t, s, inClear)
	for range 2 {
		err := smtp.Send(t.Context(), hello("grey-2@example.org"), noted)
		requireTransient(t, err)
		require.ErrorContains(t, err, "greylisted")
	}
	require.NoError(t, smtp.Send(t.Context(), hello("grey-2@example.org"), noted))
}

func TestSMTPNobodyThere(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	s.kill()
	requireTransient(t, sender(t, s, inClear).Send(t.Context(), hello("ann@example.org"), noted))
}

// A server that takes connections and says nothing, or stops answering halfway, is left when the time is up.
func TestSMTPSlowServer(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = mute.Close() })
	s := startServer(t, serverConfig{})
	for name, send := range map[string]func(ctx context.Context) error{
		"greeting": func(ctx context.Context) error {
			smtp, err := email.NewSMTP(email.SMTPConfig{URL: "smtp://" + mute.Addr().String() + "?tls=none", From: from})
			require.NoError(t, err)
			return smtp.Send(ctx, hello("ann@example.org"), noted)
		},
		"recipient": func(ctx context.Context) error {
			return sender(t, s, inClear).Send(ctx, hello("slow@example.org"), noted)
		},
		"data": func(ctx context.Context) error {
			return sender(t, s, inClear).Send(ctx, hello("silent@example.org"), noted)
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		err := send(ctx)
		cancel()
		requireTransient(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		require.Less(t, time.Since(began), 30*time.Second, name)
	}
}

func TestSMTPCancelled(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- sender(t, s, inClear).Send(ctx, hello("slow@example.org"), noted) }()
	s.next() // it waits for the answer to RCPT
	cancel()
	select {
	case err := <-result:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(20 * time.Second):
		t.Fatal("it did not stop")
	}
}

// What the server took is sent, however the connection ends. Anything else would send it again.
func TestSMTPServerTakesTheEmailAndLeaves(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	require.NoError(t, sender(t, s, inClear).Send(t.Context(), hello("leaving@example.org"), noted))
	require.Equal(t, "leaving@example.org", s.next().To)
}

// A wrong set-up of ours would fail every email: it is repaired by people, and then all of them go out.
func TestSMTPOwnSetUpIsNoReasonToGiveAnEmailUp(t *testing.T) {
	t.Parallel()
	open := startServer(t, serverConfig{})
	err := sender(t, open, inClear, func(c *email.SMTPConfig) { c.From = "banned@example.org" }).
		Send(t.Context(), hello("ann@example.org"), noted)
	requireTransient(t, err)
	require.ErrorContains(t, err, "go away")

	closed := startServer(t, serverConfig{User: "shop", Pass: "secret"})
	err = sender(t, closed, "smtp://shop:wrong@ADDR?tls=none").Send(t.Context(), hello("ann@example.org"), noted)
	requireTransient(t, err)
	require.NotContains(t, err.Error(), "wrong")
	requireTransient(t, sender(t, closed, inClear).Send(t.Context(), hello("ann@example.org"), noted))
}

func TestSMTPEncryptedWithLogin(t *testing.T) {
	t.Parallel()
	for mode, url := range map[string]string{
		"starttls": "smtp://shop:s%40cret@ADDR?tls=starttls",
		"smtps":    "smtps://shop:s%40cret@ADDR",
	} {
		s := startServer(t, serverConfig{TLS: mode, User: "shop", Pass: "s@cret"})
		require.NoError(t, sender(t, s, url).Send(t.Context(), hello("ann@example.org"), noted), mode)
		require.Equal(t, "ann@example.org", s.next().To)

		untrusted := sender(t, s, url, func(c *email.SMTPConfig) { c.TLS = nil })
		requireTransient(t, untrusted.Send(t.Context(), hello("ann@example.org"), noted))
		require.Empty(t, s.lines, "nothing was said to a server that nobody vouches for")
	}
}

// A server, or somebody in between, that offers no encryption gets neither the email nor the password.
func TestSMTPWithoutTheEncryptionAskedForNothingIsSent(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{TLS: "none"})
	err := sender(t, s, "smtp://ADDR").Send(t.Context(), hello("ann@example.org"), noted)
	requireTransient(t, err)
	require.ErrorContains(t, err, "STARTTLS")
	require.Empty(t, s.lines)
}

func TestSMTPHeadersCannotBeInjected(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	const injection = "\r\nBcc: mallory@example.org"
	for name, change := range map[string]func(*domain.Email){
		"to":         func(e *domain.Email) { e.To += injection },
		"second to":  func(e *domain.Email) { e.To += ", mallory@example.org" },
		"subject":    func(e *domain.Email) { e.Subject += injection },
		"line feed":  func(e *domain.Email) { e.Subject += "\nBcc: mallory@example.org" },
		"message id": func(e *domain.Email) { e.MessageID += injection },
	} {
		e := hello("ann@example.org")
		change(&e)
		err := sender(t, s, inClear).Send(t.Context(), e, noted)
		require.Equal(t, fault.Permanent, fault.KindOf(err), "%s: %v", name, err)
	}
	e := hello("ann@example.org")
	e.Message = "\r\n.\r\nRCPT TO:<mallory@example.org>" + injection
	require.NoError(t, sender(t, s, inClear).Send(t.Context(), e, noted))
	got := s.next()
	require.Equal(t, "ann@example.org", got.To)
	m, err := mail.ReadMessage(strings.NewReader(got.Data))
	require.NoError(t, err)
	require.Empty(t, m.Header.Get("Bcc"))
	require.Empty(t, s.lines, "a text cannot end the email either")
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"smtp://mail", "smtp://mail:25", "smtp://mail:25?tls=none", "smtp://u:p@mail?tls=starttls",
		"smtp://u@mail", "smtps://u:p@mail", "smtps://mail:465/", "smtp://u:p@127.0.0.1?tls=none", "smtp://u:p@[::1]:25?tls=none"} {
		require.NoError(t, email.ParseURL(good), good)
	}
	for _, bad := range []string{"", "mail:25", "http://mail", "smtp://", "smtp://:25", "smtp://mail:0", "smtp://mail:65536",
		"smtp://mail:x", "smtp://mail?tls=maybe", "smtp://mail?ssl=1", "smtps://mail?tls=none", "smtp://mail/inbox",
		"smtp://:hunter2@mail", "smtp://u:hunter2@mail?tls=none", "smtp://u:hunter2@mail:9999999", "smtp://u:hunter2%zz@mail"} {
		err := email.ParseURL(bad)
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "hunter2")
		_, err = email.NewSMTP(email.SMTPConfig{URL: bad, From: from})
		require.Error(t, err)
	}
}
