package replay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/replay"
)

// A message that is published again has the id of the first time: it explains no difference. One with another id does,
// although it has the same body.
func TestOnlyMessagesThatWereNotThereBeforeExplainADifference(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	c, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers()...), kgo.ConsumeTopics(w.prefix+"payments"))
	require.NoError(t, err)
	defer c.Close()
	asked := map[string]*kgo.Record{} // payment_requested by order
	for len(asked) < 2 {
		fetches := c.PollFetches(t.Context())
		require.NoError(t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			var captured bool
			require.NoError(t, w.db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM payments.audit_payments WHERE order_id = $1 AND status = 'captured')`, string(r.Key)).Scan(&captured))
			if captured && asked[string(r.Key)] == nil {
				asked[string(r.Key)] = r
			}
		})
	}
	for name, other := range map[string]bool{"the same id": false, "another id": true} {
		t.Run(name, func(t *testing.T) {
			var id string
			for id = range asked {
				break
			}
			r := asked[id]
			delete(asked, id)
			again := &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers}
			if other {
				again.Headers = nil
			}
			cfg := w.config(client.Payments)
			cfg.Progress = when("reading", func() { // nothing is consumed now
				require.NoError(t, c.ProduceSync(t.Context(), again).FirstErr())
			})
			spoil := when("moved", func() {
				tag, err := w.db.Exec(t.Context(), `UPDATE payments.payments SET updated_at = updated_at + interval '1 second' WHERE order_id = $1`, id)
				require.NoError(t, err)
				require.Equal(t, int64(1), tag.RowsAffected())
			})
			publish := cfg.Progress
			cfg.Progress = func(p replay.Progress) { publish(p); spoil(p) }
			report, err := replay.Run(t.Context(), cfg)
			require.NoError(t, err)
			require.Equal(t, other, report.Equal())
			if other {
				require.Equal(t, int64(1), report.MovedOn)
				require.Equal(t, report.Before, report.After)
				return
			}
			require.Zero(t, report.MovedOn)
			require.Equal(t, []replay.Difference{{Table: "payments", Row: id, Was: "captured", Is: "captured"}}, report.Differences)
			w.caughtUp(client.Payments)
		})
	}
}

// A group is moved only when nobody is left in it: every replica has to pause.
func TestEveryReplicaHasToPause(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	second, err := stack.Start(t.Context(), stack.Config{DatabaseURL: w.AdminURL(), Brokers: w.Brokers(), TopicPrefix: w.prefix, GroupPrefix: w.prefix})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.Stop()) })

	cfg := w.config(client.Payments)
	cfg.PauseTo = 3 * time.Second
	_, err = replay.Run(t.Context(), cfg)
	var busy *replay.BusyError
	require.ErrorAs(t, err, &busy)
	require.Equal(t, w.prefix+"payments.payments", busy.Group)
	require.Len(t, busy.Members, 1)
	require.Regexp(t, "^pasdetrois-payments-.", busy.Members[0].ClientID)
	require.False(t, busy.Strangers)
	w.consuming(client.Payments)

	cfg = w.config(client.Payments)
	cfg.Replicas = append(cfg.Replicas, second.Client())
	report, err := replay.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.True(t, report.Equal(), "%v", report.Differences)
	require.NotZero(t, report.Messages)

	cfg.Service = client.Orders
	cfg.Replicas[1] = client.New(client.Endpoints{client.Orders: {Admin: second.Client().Endpoint(client.Payments).Admin}})
	defer cfg.Replicas[1].Close()
	_, err = replay.Run(t.Context(), cfg)
	var other *replay.OtherServiceError
	require.ErrorAs(t, err, &other)
	require.Equal(t, w.prefix+"payments.payments", other.Group)
}

// A member that is no replica cannot be paused by anybody: it is named, so that somebody ends it.
func TestAnotherProgramInTheGroupIsNamed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	group := w.prefix + "notifications.notifications"
	another, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers()...), kgo.ClientID("console-consumer"), kgo.Balancers(kgo.RangeBalancer()),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(w.prefix+"notifications"))
	require.NoError(t, err)
	t.Cleanup(another.Close)
	cfg := w.config(client.Notifications)
	cfg.PauseTo = 3 * time.Second
	testkit.Eventually(t, func() error {
		_, err := replay.Run(t.Context(), cfg)
		var busy *replay.BusyError
		if !errors.As(err, &busy) {
			return fmt.Errorf("the program has not joined yet: %w", err)
		}
		require.True(t, busy.Strangers)
		require.ErrorContains(t, err, "the consumer group "+group+" still has 1 members, console-consumer at 127.0.0.1")
		return nil
	})
}

func TestAServiceThatHandlesNothingAnyMoreIsGivenUp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	cfg := w.config(client.Notifications)
	cfg.Patience = time.Second
	cfg.Progress = when("moved", func() {
		require.NoError(t, w.StopService(context.WithoutCancel(t.Context()), client.Notifications))
	})
	report, err := replay.Run(t.Context(), cfg)
	require.Error(t, err)
	require.NotNil(t, report)
	require.Nil(t, report.Comparison)
	var unreachable *client.UnreachableError
	require.ErrorAs(t, err, &unreachable, "it cannot be told to go on")
	require.NoError(t, w.StartService(t.Context(), client.Notifications))
	w.caughtUp(client.Notifications)

	cfg.Progress = when("notifications consumes", func() {
		require.NoError(t, w.StopService(context.WithoutCancel(t.Context()), client.Notifications))
		w.rewind(client.Notifications)
	})
	_, err = replay.Run(t.Context(), cfg)
	var stuck *replay.StuckError
	require.ErrorAs(t, err, &stuck)
	require.NotZero(t, stuck.Left)
	require.Equal(t, client.Notifications, stuck.Service)
	require.NoError(t, w.StartService(t.Context(), client.Notifications))
}

// An order that is cancelled has moved on, although orders was sent no message about it.
func TestAStepThatNoMessageCausesExplainsADifference(t *testing.T) {
	t.Parallel()
	w := setup(t)
	order, _, err := w.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{Wait: time.Minute})
	require.NoError(t, err)
	require.Equal(t, "confirmed", order.Status)
	cfg := w.config(client.Orders)
	cfg.Progress = when("comparing", func() {
		require.NoError(t, w.StopService(t.Context(), client.Payments)) // nothing answers the refund
		_, err := w.Client().Cancel(t.Context(), order.OrderID)
		require.NoError(t, err)
	})
	report, err := replay.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.True(t, report.Equal(), "%v", report.Differences)
	require.Equal(t, int64(1), report.MovedOn)
}

// What was not handled yet is never skipped, whatever time is given.
func TestAGroupNeverMovesForward(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	// The state can be read, and nothing is handled.
	lock, err := w.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = lock.Exec(t.Context(), `LOCK TABLE payments.payments IN EXCLUSIVE MODE`)
	require.NoError(t, err)
	order, _, err := w.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{})
	require.NoError(t, err)
	w.reaches(order.OrderID, "awaiting_payment")

	cfg := w.config(client.Payments)
	cfg.From.Time = time.Now()
	report, err := replay.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Zero(t, report.Messages)
	require.NoError(t, lock.Rollback(t.Context()))
	w.reaches(order.OrderID, "confirmed")
}

// Whoever paused the service for longer than a replay does had a reason.
func TestAReplayDoesNotEndSomebodysPause(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	_, err := w.Client().PauseConsumers(t.Context(), client.Payments, time.Hour)
	require.NoError(t, err)
	var paused *replay.PausedError
	_, err = replay.Run(t.Context(), w.config(client.Payments))
	require.ErrorAs(t, err, &paused)
	require.WithinDuration(t, time.Now().Add(time.Hour), paused.Until, 2*time.Minute)
	consumers, err := w.Client().Consumers(t.Context(), client.Payments)
	require.NoError(t, err)
	require.NotNil(t, consumers.PausedUntil)
}
