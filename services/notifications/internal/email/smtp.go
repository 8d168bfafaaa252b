package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/wneessen/go-mail"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/notifications/internal/domain"
)

// SMTPConfig configures an SMTP sender.
type SMTPConfig struct {
	URL  string      // see ParseURL
	From string      // address that the emails come from
	TLS  *tls.Config // nil = the system's certificates, TLS 1.2 or newer
}

// SMTP sends each email on a connection of its own.
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

// longest is the end of a conversation whose context has none.
const longest = time.Minute

// Codes that a permanent error carries, and that the notification shows in front of the server's words.
const (
	reasonRefused = "smtp_refused"
	reasonInvalid = "invalid_email"
)

// Send delivers e. When ctx ends the connection is cut, whatever the server is doing.
func (s *SMTP) Send(ctx context.Context, e domain.Email) error {
	to, err := wireAddress(e.To)
	if err != nil {
		return fault.Wrap(reasonInvalid, err)
	}
	e.To = to
	msg, err := s.message(e)
	if err != nil {
		return fault.Wrap(reasonInvalid, fmt.Errorf("write email: %w", err))
	}
	// The library looks at ctx only while it dials, and leaves the connection open when it gives up during the greeting:
	// cutting and closing it is done here.
	ctx, done := context.WithCancel(ctx)
	defer done()
	client, err := s.client(func(conn net.Conn) { context.AfterFunc(ctx, func() { _ = conn.Close() }) })
	if err != nil {
		return fmt.Errorf("set up the smtp client: %w", err)
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		// Nothing has been said about this email yet: even a 5xx means our own set-up, or a server in trouble.
		return ended(ctx, fmt.Errorf("connect to %s: %w", s.server.address(), err))
	}
	if utf8, _ := session.Extension("SMTPUTF8"); !utf8 && needsUTF8(e.To) {
		_ = session.Quit()
		return fault.Wrap(reasonInvalid, errNoUTF8)
	}
	err = client.SendWithSMTPClient(session, msg)
	if msg.IsDelivered() {
		s.refusals.taken()
		_ = session.Quit() // the server has it: how the parting goes does not matter
		return nil
	}
	return ended(ctx, s.refusal(err, e.To))
}

// ended says that ctx ended where that is why the connection broke.
func ended(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil && fault.KindOf(err) != fault.Permanent {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// message writes the email. The library encodes header fields; what it would have to break is refused before.
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
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office answers, please
	msg.SetBodyString(mail.TypeTextPlain, e.Message)
	return msg, nil
}

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

func (s *SMTP) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if s.server.tls == tlsFromOn {
		return (&tls.Dialer{Config: s.cfg.TLS}).DialContext(ctx, network, addr)
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}
