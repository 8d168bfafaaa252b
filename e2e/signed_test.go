package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/signing/signingtest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// A thief with write access to the topic payments pays for a turntable himself. Its price is above the fraud limit, and payments
// pauses, so the forged answer comes first.
func TestAForgedPaymentGetsNothingOnceEventsAreSigned(t *testing.T) {
	t.Parallel()
	keys := signingtest.New(t)
	for name, c := range map[string]struct {
		signed bool
		status string // of the order
	}{
		"without keys the thief gets the goods": {false, "confirmed"},
		"with keys the order fails":             {true, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(cfg *stack.Config) {
				if c.signed {
					cfg.Environ, cfg.Services = keys.Environ()
				}
			})
			env := scenario.On(s)
			_, err := env.Client.PauseConsumers(t.Context(), client.Payments, time.Minute)
			require.NoError(t, err)
			testkit.Eventually(t, func() error {
				c, err := env.Client.Consumers(t.Context(), client.Payments)
				if err == nil && c.State != client.ConsumersPaused {
					err = errors.New(c.State)
				}
				return err
			})
			place(t, env.Client, "steal-1", "1299.00")
			reaches(t, s, "steal-1", "awaiting_payment")
			forge(t, s, `{"event":"payment_captured","order_id":"steal-1","user_id":"thief","amount":1299.00,"currency":"USD","payment_id":"x"}`)
			if !c.signed {
				reaches(t, s, "steal-1", c.status)
				return
			}
			letter := firstLetter(t, env.Client)
			require.Equal(t, "not_signed", letter.Reason)
			require.Equal(t, "payment_captured must be signed by payments: it has no header pas-signature", letter.Detail)
			_, err = env.Client.ReplayDeadLetter(t.Context(), client.Orders, letter.ID)
			require.NoError(t, err)
			testkit.Eventually(t, func() error {
				l, err := env.Client.DeadLetter(t.Context(), client.Orders, letter.ID)
				if err == nil && (l.State != client.LetterParked || l.Attempts != 1) {
					err = fmt.Errorf("the letter is %s, replayed %d times", l.State, l.Attempts)
				}
				return err
			})
			reaches(t, s, "steal-1", "awaiting_payment")
			_, err = env.Client.DiscardDeadLetter(t.Context(), client.Orders, letter.ID)
			require.NoError(t, err)
			_, err = env.Client.ResumeConsumers(t.Context(), client.Payments)
			require.NoError(t, err)
			reaches(t, s, "steal-1", c.status)
			place(t, env.Client, "honest-1", "49.99")
			reaches(t, s, "honest-1", "confirmed")
			_, err = env.Client.Cancel(t.Context(), "honest-1")
			require.NoError(t, err)
			reaches(t, s, "honest-1", "cancelled")
			testkit.Eventually(t, func() error {
				report, err := env.Books.Audit(t.Context())
				require.NoError(t, err)
				for _, check := range report.Checks {
					if check.Wrong > 0 {
						err = errors.Join(err, fmt.Errorf("%s: %v", check.Name, check.Examples))
					}
				}
				return err
			})
		})
	}
}

func place(t *testing.T, c *client.Client, id, total string) {
	t.Helper()
	_, _, err := c.Place(t.Context(), client.NewOrder{OrderID: id, UserID: "thief", Total: json.Number(total)}, client.PlaceOptions{})
	require.NoError(t, err)
}

// forge writes a record to payments, as any program may that has write access to the topic.
func forge(t *testing.T, s *stack.Stack, value string) {
	t.Helper()
	producer, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	require.NoError(t, err)
	defer producer.Close()
	require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{Topic: s.Kafka().TopicPrefix + messages.TopicPayments, Value: []byte(value)}).FirstErr())
}

// firstLetter waits for the first dead letter of orders.
func firstLetter(t *testing.T, c *client.Client) client.DeadLetter {
	t.Helper()
	var letters []client.DeadLetter
	testkit.Eventually(t, func() (err error) {
		letters, err = c.DeadLetters(t.Context(), client.Orders, client.LetterParked, 10)
		if err == nil && len(letters) == 0 {
			err = errors.New("no dead letter")
		}
		return err
	})
	return letters[0]
}
