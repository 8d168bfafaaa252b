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
	state "pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/signing/signingtest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/rebuild"
	"pasdetrois/toolbox/tail"
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
			_, err := env.Client.PauseConsumers(t.Context(), client.Payments, time.Hour) // resumed below
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
			forge(t, s, messages.TopicOrders, `{"event":"order_confirmed","order_id":"steal-1","user_id":"thief","total":1299.00,"currency":"USD","payment_id":"x","step":"payment_captured"}`)
			forge(t, s, messages.TopicPayments, `{"event":"payment_captured","order_id":"steal-1","user_id":"thief","amount":1299.00,"currency":"USD","payment_id":"x"}`)
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
			trusted := keys.Keys(t)
			marked := map[bool]int{}
			_, err = tail.Run(t.Context(), tail.Config{Feed: feed.Config{Kafka: s.Kafka(), Trusted: trusted, OpenTime: time.Minute,
				Topics: []string{messages.TopicPayments, messages.TopicOrders}, Start: feed.Start{Beginning: true}},
				Show: func(r tail.Record) error {
					marked[r.NotSigned]++
					return nil
				}})
			require.NoError(t, err)
			require.Equal(t, 2, marked[true], "what was forged")
			require.Positive(t, marked[false], "the order and its request")
			require.NoError(t, s.StopService(t.Context(), client.Orders))
			require.Empty(t, rebuilt(t, s, trusted))
			require.Contains(t, rebuilt(t, s, nil), "steal-1", "without keys a rebuild believes what was forged")
			require.NoError(t, s.StartService(t.Context(), client.Orders))
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
				report, err := audit.Run(t.Context(), audit.Config{OrdersURL: s.AuditorURL(), PaymentsURL: s.AuditorURL(), NotificationsURL: s.AuditorURL(),
					Topics: &feed.Config{Kafka: s.Kafka(), Trusted: trusted, OpenTime: time.Minute}})
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

// forge writes a record in the name of orders, as any program can that may write to the topic.
func forge(t *testing.T, s *stack.Stack, topic, value string) {
	t.Helper()
	producer, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	require.NoError(t, err)
	defer producer.Close()
	require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{Topic: s.Kafka().TopicPrefix + topic, Value: []byte(value),
		Headers: []kgo.RecordHeader{{Key: "ce_source", Value: []byte("/pasdetrois/orders")}}}).FirstErr())
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

// rebuilt returns the keys of which the topics say something else than the rows of orders.
func rebuilt(t *testing.T, s *stack.Stack, trusted *signing.Keys) (keys []string) {
	t.Helper()
	pool, err := rebuild.Open(s.ServiceURL(client.Orders), client.Orders)
	require.NoError(t, err)
	defer pool.Close()
	_, err = rebuild.Run(t.Context(), rebuild.Config{Service: client.Orders, Kafka: s.Kafka(), Pool: pool, State: orders.NewState(pool, 0),
		DryRun: true, Trusted: trusted, OpenTime: time.Minute, Found: func(f state.Finding) { keys = append(keys, f.Key) }})
	require.NoError(t, err)
	return keys
}
