package bus_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

// Subscribing to a missing topic waits silently, publishing to one fails only after many seconds. So all topics that a
// service reads or writes are looked for first, and what is missing is said.
func TestMissingTopicsAreNamedAndWaitedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		there   []string
		missing string
	}{
		"one that it reads":   {[]string{messages.TopicPayments, messages.TopicNotifications, messages.TopicOrderFailures}, messages.TopicOrders},
		"one that it writes":  {[]string{messages.TopicOrders, messages.TopicPayments, messages.TopicNotifications}, messages.TopicOrderFailures},
		"one that two write":  {[]string{messages.TopicOrders, messages.TopicPayments, messages.TopicOrderFailures}, messages.TopicNotifications},
		"a topic of somebody": {[]string{messages.TopicOrders, messages.TopicNotifications, messages.TopicOrderFailures}, messages.TopicPayments},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setupAt(t, testkit.Brokers(t))
			f.createTopics(1, c.there...)
			got := make(chan string, 1)
			r := f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
				got <- in.Event.OrderID
				return bus.Result{}
			}), func(cfg *bus.ConsumerConfig) { cfg.Service = messages.ServiceOrders })
			says := "topics are missing: [" + f.cfg.TopicPrefix + c.missing + "]"
			testkit.Eventually(t, func() error {
				if err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
					return errors.Join(errors.New("readiness does not name the missing topic"), err)
				}
				if !strings.Contains(f.logs.String(), says) || !strings.Contains(f.logs.String(), "pas topics create") {
					return errors.New("the log does not name the missing topic and what to do")
				}
				return nil
			})
			f.createTopics(1, c.missing)
			f.publish("o1")
			require.Equal(t, "o1", next(t, got), "it did not begin by itself once the topic was there")
			testkit.Eventually(t, func() error { return r.Check(t.Context()) })
		})
	}
}

// Somebody may delete a topic while the service runs.
func TestATopicThatDisappearsIsNoticed(t *testing.T) {
	t.Parallel()
	f := setupAt(t, testkit.Brokers(t))
	f.createTopics(1, messages.TopicOrders, messages.TopicPayments, messages.TopicNotifications, messages.TopicOrderFailures)
	r := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result { return bus.Result{} }),
		func(cfg *bus.ConsumerConfig) { cfg.Service = messages.ServiceOrders })
	testkit.Eventually(t, func() error { return r.Check(t.Context()) })
	name := f.cfg.TopicPrefix + messages.TopicNotifications
	client, err := kgo.NewClient(kgo.SeedBrokers(f.cfg.Brokers...))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames, req.Topics = []string{name}, []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
	_, err = req.RequestWith(t.Context(), client)
	require.NoError(t, err)
	testkit.Eventually(t, func() error {
		if err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
			return errors.Join(errors.New("readiness does not name the topic that is gone"), err)
		}
		return nil
	})
}

func TestAConsumerThatWaitsForTopicsStopsAtOnce(t *testing.T) {
	t.Parallel()
	f := setupAt(t, testkit.Brokers(t))
	r := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result { return bus.Result{} }))
	testkit.Eventually(t, func() error {
		if !strings.Contains(f.logs.String(), "topics are missing") {
			return errors.New("it does not wait yet")
		}
		return nil
	})
	require.NoError(t, r.stop())
}

// A topic exists because somebody decided on its partitions, never because somebody mistyped its name.
func TestNothingCreatesATopicByMentioningIt(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation())
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	f := setupAt(t, cluster.ListenAddrs())
	r := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result { return bus.Result{} }))
	testkit.Eventually(t, func() error {
		if err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "topics are missing") {
			return errors.Join(errors.New("it did not ask for its topics"), err)
		}
		return nil
	})
	require.Error(t, f.producer.Publish(t.Context(), placed("o1")))
	topics, err := kafka.ListTopics(t.Context(), f.cfg)
	require.NoError(t, err)
	require.Empty(t, topics)
}

func TestTopicsAreCreatedOnceAndNeverRepartitioned(t *testing.T) {
	t.Parallel()
	f := setupAt(t, testkit.Brokers(t))
	spec := []kafka.TopicSpec{{Name: "a", Partitions: 2, ReplicationFactor: 1}}
	created, err := kafka.CreateTopics(t.Context(), f.cfg, spec)
	require.NoError(t, err)
	require.Equal(t, []string{f.cfg.TopicPrefix + "a"}, created)
	created, err = kafka.CreateTopics(t.Context(), f.cfg, spec)
	require.NoError(t, err)
	require.Empty(t, created)
	var together sync.WaitGroup
	for range 4 { // as the jobs of two deployments may
		together.Go(func() {
			_, err := kafka.CreateTopics(t.Context(), f.cfg, []kafka.TopicSpec{{Name: "b", Partitions: 1, ReplicationFactor: 1}})
			assert.NoError(t, err)
		})
	}
	together.Wait()
	spec[0].Partitions = 3
	_, err = kafka.CreateTopics(t.Context(), f.cfg, spec)
	require.ErrorContains(t, err, "exists with 2 partitions instead of 3")
	require.ErrorContains(t, err, "stop every service", "readers go on at their old offsets in a topic that is made anew under them")
	topics, err := kafka.ListTopics(t.Context(), f.cfg)
	require.NoError(t, err)
	require.Len(t, topics, 2, "only those with the prefix")
	require.Equal(t, "a", topics[0].Name)
	require.Equal(t, "b", topics[1].Name)
	require.EqualValues(t, 2, topics[0].Partitions)
}
