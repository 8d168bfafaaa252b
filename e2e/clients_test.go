//go:build clients

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// python returns a command that runs a Python program with the kafka-python of that folder, "" for the newest.
func python(t *testing.T, folder string) func(program string) {
	t.Helper()
	installed := os.Getenv("CLIENTS_INSTALLED")
	require.NotEmpty(t, installed, "needs the clients of other languages: run `make test SUITE=clients`")
	return func(program string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(installed, "venv", "bin", "python"), "-c", program)
		cmd.Env = os.Environ()
		if folder != "" {
			cmd.Env = append(cmd.Env, "PYTHONPATH="+filepath.Join(installed, folder))
		}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", program, out)
	}
}

// written returns the Python program of a page with its broker and topic replaced, as they stand in front of it.
func written(t *testing.T, page, broker, topic string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", page))
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, found, "%s has a program in Python", page)
	program := string(found[1])
	require.Contains(t, program, `"localhost:9092"`)
	require.Contains(t, program, `"orders"`)
	return strings.NewReplacer(`"localhost:9092"`, `"`+broker+`"`, `"orders"`, `"`+topic+`"`).Replace(program)
}

// Messages of a plain Kafka client, without key, headers or event, have the same outcomes as our own.
func TestKafkaPythonWritesPlainMessages(t *testing.T) {
	t.Parallel()
	run, newest := python(t, "kafka-python-2"), python(t, "")
	var kafka stack.Config
	s := start(t, func(cfg *stack.Config) { kafka = *cfg })
	env := scenario.On(s)
	c, broker := env.Client, env.Kafka.Brokers[0]

	settled := func(orderID string) client.Order {
		t.Helper()
		var order client.Order
		testkit.Eventually(t, func() (err error) {
			if order, err = c.Order(t.Context(), orderID, 0); err == nil && order.Status != "confirmed" && order.Status != "failed" {
				err = fmt.Errorf("order %s is %s", orderID, order.Status)
			}
			return err
		})
		return order
	}
	emails := func(match string, want int) {
		t.Helper()
		testkit.Eventually(t, func() error {
			var found []string
			for _, email := range env.Emails() {
				if strings.Contains(email.Message, match) {
					found = append(found, email.Message)
				}
			}
			if len(found) != want {
				return fmt.Errorf("%d emails with %q, expected %d: %q", len(found), match, want, found)
			}
			return nil
		})
	}

	program := written(t, "README.md", broker, kafka.TopicPrefix+"orders")
	run(program)
	order := settled("1001")
	require.Equal(t, "confirmed", order.Status)
	require.Equal(t, "7", order.UserID)
	require.Equal(t, "49.99", order.Total.String())
	emails("Order 1001 confirmed!", 1)

	// kafka-python 3 writes idempotently unless it is told not to; the same lines do.
	newest(strings.ReplaceAll(program, "1001", "1002"))
	require.Equal(t, "confirmed", settled("1002").Status)
	emails("Order 1002 confirmed!", 1)
	newest(written(t, "docs/contract.md", broker, kafka.TopicPrefix+"orders"))
	require.Equal(t, "confirmed", settled("f-1").Status)

	run(fmt.Sprintf(`
import json
from kafka import KafkaProducer
p = KafkaProducer(bootstrap_servers=%q, value_serializer=lambda v: json.dumps(v).encode())
prefix = %q
for _ in range(2):
    p.send(prefix + "orders", {"order_id": "plain-text", "user_id": "grace", "total": 49.99})
p.send(prefix + "orders", {"order_id": "plain-dear", "user_id": "grace", "total": 900.01})
p.send(prefix + "orders", "no object")
p.send(prefix + "payments", {"order_id": "plain-paid", "amount": 12.5, "user_id": 8})
p.send(prefix + "notifications", {"user_id": "grace", "message": "the curtain rises at eight", "channel": "email"})
p.flush()
p.close()
`, broker, kafka.TopicPrefix))
	require.Equal(t, "confirmed", settled("plain-text").Status)
	dear := settled("plain-dear")
	require.Equal(t, "failed", dear.Status)
	require.Equal(t, "suspected_fraud", dear.Reason)
	emails("Order plain-text confirmed!", 1)
	emails("the curtain rises at eight", 1)
	for orderID, amount := range map[string]string{"plain-text": "49.99", "plain-paid": "12.50"} {
		testkit.Eventually(t, func() error {
			payment, err := c.Payment(t.Context(), orderID)
			if err == nil && (payment.Status != "captured" || payment.Amount.String() != amount) {
				err = fmt.Errorf("payment of %s is %s %s", orderID, payment.Status, payment.Amount)
			}
			return err
		})
		entries, err := env.Ledger(t.Context(), orderID)
		require.NoError(t, err)
		require.Equal(t, []string{"charged"}, entries)
	}
	testkit.Eventually(t, func() error {
		letters, err := c.DeadLetters(t.Context(), client.Orders, "", 10)
		if err == nil && (len(letters) != 1 || letters[0].Topic != "orders") {
			err = fmt.Errorf("dead letters of orders: %+v", letters)
		}
		return err
	})
}
