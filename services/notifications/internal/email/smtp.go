package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/notifications/internal/domain"
)

// SMTPConfig configures an SMTP sender.
type SMTPConfig struct {
	URL  string      // see ParseURL
	From string      // address that the emails come from
	TLS  *tls.Config // nil = the system's certificates, TLS 1.2 or newer
}

// SMTP sends each email on a connection of its own, so one email's failure affects no other. Safe for concurrent use.
type SMTP struct {
	cfg      SMTPConfig
	server   server
	refusals refusals
}

// NewSMTP returns a sender. It does not connect.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	s, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.TLS == nil {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.From, err = wireAddress(cfg.From); err != nil {
		return nil, fmt.Errorf("EMAIL_FROM: %w", err)
	}
	cfg.TLS = cfg.TLS.Clone()
	cfg.TLS.ServerName = s.host
	return &SMTP{cfg: cfg, server: s}, nil
}

// longest is the end of a conversation whose context has none, and longestAnswer that of its last answer.
const (
	longest       = 5 * time.Minute
	longestAnswer = 11 * time.Minute
)

// The reasons of permanent errors. The API shows them in front of the server's text, so clients may depend on them.
const (
	reasonRefused = "smtp_refused"
	reasonInvalid = "invalid_email"
)

// Send delivers e. When ctx ends the connection is closed at once. Errors are classified as app.Sender demands: invalid addresses
// and final refusals are permanent. A connection that breaks after the text wraps domain.ErrOutcomeUnknown.
func (s *SMTP) Send(ctx context.Context, e domain.Email, handedOver func()) error {
	to, err := wireAddress(e.To)
	if err != nil {
		return fault.Wrap(reasonInvalid, err)
	}
	e.To = to
	msg, err := s.message(e)
	if err != nil {
		return fault.Wrap(reasonInvalid, fmt.Errorf("write email: %w", err))
	}
	// The library checks ctx only while it dials, and leaves the connection open when it gives up during the greeting. So we
	// cut and close the connection here.
	ctx, done := context.WithCancel(ctx)
	defer done()
	client, err := s.client(func(conn net.Conn) { context.AfterFunc(ctx, func() { _ = conn.Close() }) })
	if err != nil {
		return fmt.Errorf("set up the smtp client: %w", err)
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		// The server has not seen this email: even a 5xx is about our set-up or the server itself.
		return ended(ctx, fmt.Errorf("connect to %s: %w", s.server.address(), err))
	}
	utf8, _ := session.Extension("SMTPUTF8")
	if !utf8 && needsUTF8(e.To) {
		_ = session.Quit()
		return fault.Wrap(reasonInvalid, errNoUTF8)
	}
	if !utf8 && needsUTF8(s.cfg.From) {
		_ = session.Quit()
		return fmt.Errorf("EMAIL_FROM: %w", errNoUTF8)
	}
	// An email that needs SMTPUTF8 goes only to servers that have it, also behind this server.
	session.SkipSMTPUTF8(!needsUTF8(e.To) && !needsUTF8(s.cfg.From))
	at, err := s.converse(session, msg, handedOver)
	if err != nil {
		return ended(ctx, s.refusal(at, err, e.To))
	}
	s.refusals.taken()
	_ = session.Quit() // the server has the email: an error of QUIT does not matter
	return nil
}

// stage is the last stage that the conversation about one email reached. It decides the meaning of a refusal.
type stage int

const (
	atSender stage = iota
	atRecipient
	atText   // DATA, and the text itself
	atAnswer // the server has the whole text, and has not answered it
)

// converse sends one email in a session, and returns the stage at which it failed. The library's own call does not report
// when the server has the whole text.
func (s *SMTP) converse(session *smtp.Client, msg *mail.Msg, handedOver func()) (stage, error) {
	from, err := msg.GetSender(false)
	if err == nil {
		err = session.Mail(from)
	}
	if err != nil {
		return atSender, err
	}
	recipients, err := msg.GetRecipients()
	if err == nil {
		err = session.Rcpt(recipients[0]) // message gave it one
	}
	if err != nil {
		return atRecipient, err
	}
	text, err := session.Data()
	if err != nil {
		return atText, err
	}
	if _, err := msg.WriteTo(text); err != nil {
		return atText, err
	}
	handedOver()
	// RFC 5321, section 4.5.3.2.6: the answer to the final dot may take 10 minutes. A client that gives up before
	// sends the email twice.
	if err := session.UpdateDeadline(longestAnswer); err != nil {
		return atText, err
	}
	return atAnswer, text.Close()
}

// ended adds ctx's error when the connection broke because ctx ended.
func ended(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil && fault.KindOf(err) != fault.Permanent {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// message writes the email. The library encodes header fields; a control character in one is refused here.
func (s *SMTP) message(e domain.Email) (*mail.Msg, error) {
	for _, field := range []string{e.To, e.Subject, e.MessageID} {
		for _, r := range field {
			if r < ' ' || r == 0x7f {
				return nil, errors.New("a header field holds a control character")
			}
		}
	}
	msg := mail.NewMsg()
	if err := msg.From(s.cfg.From); err != nil {
		return nil, err
	}
	if err := msg.To(e.To); err != nil {
		return nil, err
	}
	msg.Subject(e.Subject)
	msg.SetGenHeader(mail.HeaderMessageID, e.MessageID)
	msg.SetDateWithValue(e.Date)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office answers
	msg.SetBodyString(mail.TypeTextPlain, e.Message)
	return msg, nil
}

// client returns the library's client for one conversation, and calls dialled with its connection.
func (s *SMTP) client(dialled func(net.Conn)) (*mail.Client, error) {
	options := []mail.Option{
		mail.WithPort(s.server.port), mail.WithTimeout(longest), mail.WithTLSConfig(s.cfg.TLS), mail.WithoutNoop(),
		mail.WithDialContextFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := s.dial(ctx, network, addr)
			if err == nil {
				dialled(conn)
			}
			return conn, err
		}),
	}
	switch s.server.tls {
	case startTLS:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case tlsFromOn:
		options = append(options, mail.WithSSL())
	case noTLS:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if s.server.user != "" {
		options = append(options, mail.WithUsername(s.server.user), mail.WithPassword(s.server.password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthCramMD5,
				mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	return mail.NewClient(s.server.host, options...)
}

// dial connects to the server, with TLS at once for smtps://. STARTTLS is the library's part.
func (s *SMTP) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if s.server.tls == tlsFromOn {
		return (&tls.Dialer{Config: s.cfg.TLS}).DialContext(ctx, network, addr)
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}
