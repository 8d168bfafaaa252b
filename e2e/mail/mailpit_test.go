//go:build mail

package mail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// mailpit is a running Mailpit.
type mailpit struct {
	t    *testing.T
	smtp int
	url  string
}

// A message as Mailpit's API tells it. The list has no Text.
type message struct {
	ID        string
	MessageID string
	From      struct{ Address string }
	To        []struct{ Address string }
	Bcc       []struct{ Address string }
	Subject   string
	Text      string
}

func startMailpit(t *testing.T) *mailpit {
	t.Helper()
	program := os.Getenv("MAILPIT")
	require.NotEmpty(t, program, "MAILPIT names no program: make test SUITE=mail builds Mailpit")
	m := &mailpit{t: t, smtp: freePort(t)}
	api := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	m.url = "http://" + api
	run(t, exec.Command(program, "--listen", api, "--smtp", fmt.Sprintf("127.0.0.1:%d", m.smtp), "--enable-chaos",
		"--database", filepath.Join(t.TempDir(), "mailpit.db"), "--disable-version-check", "--quiet"))
	testkit.Eventually(t, func() error {
		answer, err := http.Get(m.url + "/readyz")
		if err == nil {
			_ = answer.Body.Close()
		}
		return err
	})
	return m
}

func (m *mailpit) get(path string) []byte {
	m.t.Helper()
	answer, err := http.Get(m.url + path)
	require.NoError(m.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(m.t, err)
	require.Equal(m.t, http.StatusOK, answer.StatusCode, "%s: %s", path, body)
	return body
}

// to returns all messages to one address, with their texts.
func (m *mailpit) to(address string) []message {
	m.t.Helper()
	var list struct{ Messages []message }
	require.NoError(m.t, json.Unmarshal(m.get("/api/v1/messages?limit=500"), &list))
	var found []message
	for _, listed := range list.Messages {
		if len(listed.To) == 1 && listed.To[0].Address == address {
			var whole message
			require.NoError(m.t, json.Unmarshal(m.get("/api/v1/message/"+listed.ID), &whole))
			found = append(found, whole)
		}
	}
	return found
}

// one waits for the first message to address.
func (m *mailpit) one(address string) message {
	m.t.Helper()
	var found []message
	testkit.Eventually(m.t, func() error {
		if found = m.to(address); len(found) == 0 {
			return fmt.Errorf("nothing came for %s", address)
		}
		return nil
	})
	require.Len(m.t, found, 1)
	return found[0]
}

// chaos makes Mailpit answer every recipient with code, 0 = with 250.
func (m *mailpit) chaos(code int) {
	m.t.Helper()
	trigger := map[string]any{}
	if code != 0 {
		trigger["Recipient"] = map[string]int{"ErrorCode": code, "Probability": 100}
	}
	body, err := json.Marshal(trigger)
	require.NoError(m.t, err)
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPut, m.url+"/api/v1/chaos", bytes.NewReader(body))
	require.NoError(m.t, err)
	answer, err := http.DefaultClient.Do(req)
	require.NoError(m.t, err)
	_ = answer.Body.Close()
	require.Equal(m.t, http.StatusOK, answer.StatusCode)
}

// What Mailpit 1.33 reads is what was meant: subject, addresses, text and Message-ID.
func TestMailpitReadsWhatWasSent(t *testing.T) {
	t.Parallel()
	m := startMailpit(t)
	s := start(t, m.smtp, map[string]string{"EMAIL_PER_HOUR": "3", "EMAIL_RETRY_MAX": "1s"})

	t.Run("an order over HTTP", func(t *testing.T) {
		placed, _, err := s.Client().Place(t.Context(), client.NewOrder{OrderID: "ord-1001", UserID: "ada", Email: "ada@customer.example", Total: "49.99"}, client.PlaceOptions{})
		require.NoError(t, err)
		require.Equal(t, "ord-1001", placed.OrderID)
		got := m.one("ada@customer.example")
		require.Equal(t, "Order ord-1001 is confirmed", got.Subject)
		require.Equal(t, "Order ord-1001 confirmed!", strings.TrimSpace(got.Text))
		require.Equal(t, "orders@shop.example", got.From.Address)
		require.Regexp(t, `^[0-9a-f-]{36}@pasdetrois\.invalid$`, got.MessageID)
	})
	t.Run("a sentence and a URL as order id", func(t *testing.T) {
		s.write("orders", map[string]any{"order_id": "4711 could not be paid. Please pay again at http://pay.evil.example/4711 or it",
			"user_id": "x", "total": 5, "email": "victim@customer.example"})
		got := m.one("victim@customer.example")
		require.Equal(t, `Order "4711 could not be paid· …" is confirmed`, got.Subject)
		require.Equal(t, `Order "4711 could not be paid· …" confirmed!`, strings.TrimSpace(got.Text))
		require.NotContains(t, string(m.get("/api/v1/message/"+got.ID+"/raw")), "evil")
	})
	t.Run("text that looks like the protocol", func(t *testing.T) {
		text := "one\r\n.\r\nMAIL FROM:<a@evil.example>\r\n\r\nBcc: b@evil.example\r\n..two"
		s.write("notifications", map[string]any{"user_id": "u", "message": text, "to": "dot@customer.example"})
		got := m.one("dot@customer.example")
		require.Equal(t, strings.ReplaceAll(text, "\r\n", "\n"), strings.TrimSpace(strings.ReplaceAll(got.Text, "\r\n", "\n")))
		require.Empty(t, got.Bcc)
		require.Equal(t, "A message from Pas de Trois", got.Subject)
	})
	t.Run("a domain beyond ASCII", func(t *testing.T) {
		s.notify("idn", "ada@exämple.com")
		require.Equal(t, "Order idn is confirmed", m.one("ada@xn--exmple-cua.com").Subject)
	})
	t.Run("more than an address may get", func(t *testing.T) {
		for i := range 5 {
			s.notify(fmt.Sprintf("many-%d", i), "flooded@customer.example")
		}
		testkit.Eventually(t, func() error {
			waiting, err := s.Client().Emails(t.Context(), client.EmailPending, 0)
			if err == nil && (len(waiting) != 2 || !strings.HasPrefix(waiting[0].Reason, "limited: ")) {
				err = fmt.Errorf("%v", waiting)
			}
			return err
		})
		require.Len(t, m.to("flooded@customer.example"), 3)
	})
	t.Run("refused until the set-up is mended", func(t *testing.T) {
		m.chaos(451)
		s.notify("later", "later@customer.example")
		require.Contains(t, s.email("later", client.EmailPending, 1).Reason, "451")
		m.chaos(0)
		require.Equal(t, "Order later is confirmed", m.one("later@customer.example").Subject)
	})
}
