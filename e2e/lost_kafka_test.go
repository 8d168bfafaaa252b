package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/client"
)

// loseKafka deletes the topics and the consumer groups of a stack, and makes the topics again: all that a Kafka has when it lost
// its data.
func loseKafka(t *testing.T, s *stack.Stack) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	require.NoError(t, err)
	defer c.Close()
	admin, prefix := kadm.NewClient(c), s.Kafka().TopicPrefix
	groups, err := admin.ListGroups(t.Context())
	require.NoError(t, err)
	for _, group := range groups.Groups() {
		if !strings.HasPrefix(group, prefix) {
			continue
		}
		_, err := admin.DeleteGroup(t.Context(), group)
		require.NoError(t, err)
	}
	topics, err := admin.ListTopics(t.Context())
	require.NoError(t, err)
	var ours []string
	for _, topic := range topics.Names() {
		if strings.HasPrefix(topic, prefix) {
			ours = append(ours, topic)
		}
	}
	deleted, err := admin.DeleteTopics(t.Context(), ours...)
	require.NoError(t, err)
	require.NoError(t, deleted.Error())
	testkit.Eventually(t, func() error { // Kafka deletes a topic a little after it said so
		_, err := kafka.CreateTopics(t.Context(), s.Kafka(), stack.Topics(1))
		return err
	})
}

// reaches waits until the order has the status.
func reaches(t *testing.T, s *stack.Stack, id, status string) {
	t.Helper()
	testkit.Eventually(t, func() error {
		o, err := s.Client().Order(t.Context(), id, 0)
		if err == nil && o.Status != status {
			err = errors.New(id + " is " + o.Status)
		}
		return err
	})
}

// told returns the emails about an order.
func told(s *stack.Stack, id string) (kinds []string) {
	for _, e := range s.Emails() {
		if e.OrderID == id {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

func notified(t *testing.T, s *stack.Stack) *audit.Check {
	t.Helper()
	url := s.AuditorURL()
	report, err := audit.Run(t.Context(), audit.Config{OrdersURL: url, PaymentsURL: url, NotificationsURL: url})
	require.NoError(t, err)
	for _, c := range report.Checks {
		if c.Name == "notified" {
			return c
		}
	}
	t.Fatal("no check notified")
	return nil
}

// Kafka loses requests for emails and for payments before a service has read them. The databases stay. No service publishes
// these requests again by itself; republishing asks for each once.
func TestWhatKafkaLostIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	place := func(id, status string) {
		_, _, err := s.Client().Place(ctx, client.NewOrder{OrderID: id, UserID: "ada", Total: "5.00"}, client.PlaceOptions{})
		require.NoError(t, err)
		reaches(t, s, id, status)
	}
	began := time.Now().Add(-time.Minute)
	place("told", "confirmed")
	testkit.Eventually(t, func() error {
		if n := len(told(s, "told")); n != 1 {
			return fmt.Errorf("%d emails", n)
		}
		return nil
	})
	require.NoError(t, s.StopService(ctx, client.Notifications))
	place("untold", "confirmed")
	require.NoError(t, s.StopService(ctx, client.Payments))
	place("unasked", "awaiting_payment")
	require.NoError(t, s.StopService(ctx, client.Orders))
	loseKafka(t, s)
	for _, service := range []string{client.Orders, client.Payments, client.Notifications} {
		require.NoError(t, s.StartService(ctx, service))
	}

	check := notified(t, s)
	require.Equal(t, []string{"untold is confirmed, and no email was requested"}, check.Examples)
	require.Len(t, check.Notes, 1)
	require.Contains(t, check.Notes[0], "`pas order republish ORDER-ID…`")

	orders, next, err := s.Client().RepublishPlaced(ctx, began, time.Time{}, 100, "")
	require.NoError(t, err)
	require.Empty(t, next)
	require.Len(t, orders, 3)
	reaches(t, s, "unasked", "confirmed")
	testkit.Eventually(t, func() error {
		for _, id := range []string{"untold", "unasked"} {
			if n := len(told(s, id)); n != 1 {
				return fmt.Errorf("%d emails about %s", n, id)
			}
		}
		return nil
	})
	_, err = s.Client().Republish(ctx, "untold") // once more: nothing comes of it
	require.NoError(t, err)
	place("after", "confirmed") // behind it on each topic
	testkit.Eventually(t, func() error {
		if len(told(s, "after")) != 1 {
			return errors.New("no email yet")
		}
		return nil
	})
	for _, id := range []string{"told", "untold", "unasked"} {
		require.Equal(t, []string{"confirmed"}, told(s, id), id)
	}
	require.Zero(t, notified(t, s).Wrong)
}
