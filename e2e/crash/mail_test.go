//go:build crash

package crash

import (
	"fmt"
	"io"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// mailTakes is how long the mail server takes to accept a recipient, and again to accept an email, so that there are some
// to be cut off before it has them, and some of which only it knows that it has them.
const mailTakes = 150 * time.Millisecond

func takeTime() {
	timer := time.NewTimer(mailTakes)
	defer timer.Stop()
	<-timer.C
}

// mailbox is a mail server that keeps every email it took, in the moment in which it answers for it.
type mailbox struct {
	url string

	mu    sync.Mutex
	taken []email
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &mailbox{url: "smtp://" + listener.Addr().String() + "?tls=none"}
	server := smtp.NewServer(m)
	server.Domain = "mail.test"
	server.ErrorLog = quiet{} // a client that is killed in the middle of a sentence is what this is about
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	return m
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// emails returns every email taken so far.
func (m *mailbox) emails() []email {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.taken)
}

// NewSession implements smtp.Backend.
func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &delivery{mailbox: m}, nil }

// delivery is one connection to the mail server.
type delivery struct {
	*mailbox
	to string
}

func (d *delivery) Mail(string, *smtp.MailOptions) error { return nil }
func (d *delivery) Reset()                               {}
func (d *delivery) Logout() error                        { return nil }

func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	takeTime()
	d.to = to
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	msg, err := mail.ReadMessage(r)
	if err != nil {
		return fmt.Errorf("read an email: %w", err)
	}
	takeTime()
	order, kind := about(msg.Header.Get("Subject"))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken = append(d.taken, email{To: d.to, OrderID: order, Kind: kind, MessageID: msg.Header.Get("Message-ID")})
	return nil
}

// about reads order and kind off a subject: "Order 4711 is confirmed", "Suspected fraud: order 4711".
func about(subject string) (order, kind string) {
	if order, ok := strings.CutPrefix(subject, "Suspected fraud: order "); ok {
		return order, "fraud_alert"
	}
	words := strings.Fields(subject)
	if len(words) < 3 {
		return "", subject
	}
	kinds := map[string]string{"is confirmed": "confirmed", "could not be accepted": "rejected", "has failed": "failed",
		"is cancelled": "cancelled"}
	return words[1], kinds[strings.Join(words[2:], " ")]
}
