package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// TestAPaymentAskedForFromOutsideIsNoFault: the contract's own least message for the topic payments, of an order that nobody
// placed, as any producer may write it.
func TestAPaymentAskedForFromOutsideIsNoFault(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *stack.Config) {
		c.Services = map[string]map[string]string{client.Orders: {"HELD_TIMEOUT": "1s"}}
	})
	env := scenario.On(s)
	producer, err := kgo.NewClient(kgo.SeedBrokers(env.Kafka.Brokers...))
	require.NoError(t, err)
	defer producer.Close()
	write := func(value string) {
		require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{Topic: env.Kafka.TopicPrefix + messages.TopicPayments, Value: []byte(value)}).FirstErr())
	}
	write(`{"order_id": "f-1", "amount": 49.99, "user_id": "u-1"}`)
	write(`{"order_id": "f-2", "amount": 20, "user_id": "u-1"}`)
	payment := func(id, status string) {
		testkit.Eventually(t, func() error {
			p, err := env.Client.Payment(t.Context(), id)
			if err == nil && (p.Status != status || !p.Outside) {
				err = fmt.Errorf("payment %+v", p)
			}
			return err
		})
	}
	payment("f-1", "captured")
	payment("f-2", "captured")
	after := time.Now().Add(2 * time.Second) // twice as long as a message waits for its order
	testkit.Eventually(t, func() error {
		report, err := scenario.On(s).Books.Audit(t.Context())
		require.NoError(t, err)
		if time.Now().Before(after) {
			return errors.New("too early")
		}
		for _, check := range report.Checks {
			if check.Wrong > 0 {
				return fmt.Errorf("%s: %v", check.Name, check.Examples)
			}
			if check.Name == "strangers" {
				require.Equal(t, []string{"payments requested by other producers, for no order of ours: 2; kept of them: 69.99 USD"}, check.Notes)
			}
		}
		return nil
	})

	// Placed later, the first is paid by that payment, and the second is another order, which must not have it.
	for id, want := range map[string]string{"f-1": "confirmed", "f-2": "failed"} {
		o, _, err := env.Client.Place(t.Context(), client.NewOrder{OrderID: id, UserID: "u-1", Total: "49.99"}, client.PlaceOptions{Wait: 30 * time.Second})
		require.NoError(t, err)
		require.Equal(t, want, o.Status)
		entries, err := env.Ledger(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, []string{"charged"}, entries, "charged once")
	}
	testkit.Eventually(t, func() error {
		report, err := scenario.On(s).Books.Audit(t.Context())
		require.NoError(t, err)
		for _, check := range report.Checks {
			if check.Wrong > 0 {
				return fmt.Errorf("%s: %v", check.Name, check.Examples)
			}
		}
		return nil
	})
}
