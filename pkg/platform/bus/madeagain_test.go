package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

// often makes a consumer notice soon what changes on the brokers.
func often(c *bus.ConsumerConfig) { c.AskEvery(200 * time.Millisecond) }

// foreign is a client of the brokers that is none of ours.
func (f *fixture) foreign(options ...kgo.Opt) *kgo.Client {
	f.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(f.cfg.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(100 * time.Millisecond)}, options...)...)
	require.NoError(f.t, err)
	f.t.Cleanup(client.Close)
	return client
}

// orderRecord is an order as a foreign producer writes it.
func (f *fixture) orderRecord(partition int32, id string) *kgo.Record {
	return &kgo.Record{Topic: f.cfg.TopicPrefix + messages.TopicOrders, Partition: partition,
		Value: fmt.Appendf(nil, `{"order_id":%q,"user_id":"u1","total":49.99}`, id)}
}

// makeAgain deletes the topic orders and makes it again, and returns when the brokers know of the new one.
func (f *fixture) makeAgain(partitions int32) {
	f.t.Helper()
	f.deleteOrders()
	testkit.Eventually(f.t, func() error {
		made, err := kafka.CreateTopics(f.t.Context(), f.cfg, []kafka.TopicSpec{{Name: messages.TopicOrders, Partitions: partitions, ReplicationFactor: 1}})
		if err == nil && len(made) == 0 {
			err = errors.New("the brokers still know of the one that was deleted")
		}
		return err
	})
}

func (f *fixture) deleteOrders() {
	f.t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := f.cfg.TopicPrefix + messages.TopicOrders
	req.TopicNames = []string{topic}
	req.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &topic}}
	req.TimeoutMillis = 10_000
	resp, err := req.RequestWith(f.t.Context(), f.foreign())
	require.NoError(f.t, err)
	require.NoError(f.t, kerr.ErrorForCode(resp.Topics[0].ErrorCode))
}

// seen remembers which orders were handled.
type seen struct {
	mu  sync.Mutex
	ids map[string]int
}

func (s *seen) table() bus.Table {
	s.ids = make(map[string]int)
	return one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ids[in.Event.OrderID]++
		return bus.Result{}
	})
}

// all checks that every order of a round was handled.
func (s *seen) all(round string, partitions int32, each int) func() error {
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		var missing []string
		for p := range partitions {
			for i := range each {
				if id := fmt.Sprintf("%s-%d-%d", round, p, i); s.ids[id] == 0 {
					missing = append(missing, id)
				}
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("%d orders of %d were not handled, such as %s", len(missing), int(partitions)*each, missing[0])
		}
		return nil
	}
}

// writeRound writes a number of orders to each partition.
func (f *fixture) writeRound(client *kgo.Client, round string, partitions int32, each int) {
	f.t.Helper()
	var records []*kgo.Record
	for p := range partitions {
		for i := range each {
			records = append(records, f.orderRecord(p, fmt.Sprintf("%s-%d-%d", round, p, i)))
		}
	}
	testkit.Eventually(f.t, func() error { // the brokers may not know all partitions yet
		client.ForceMetadataRefresh()
		return client.ProduceSync(f.t.Context(), records...).FirstErr()
	})
}

func remarks(part string, consumers ...*running) func() error {
	return func() error {
		var all error
		for _, r := range consumers {
			err := r.Topics(context.Background())
			if err != nil && strings.Contains(err.Error(), part) {
				return nil
			}
			all = fmt.Errorf("no remark has %q: %w", part, err)
		}
		return all
	}
}

func TestATopicMadeAgainUnderItsReadersIsReadFromItsBeginning(t *testing.T) {
	t.Parallel()
	f := setup(t, 6)
	var s seen
	table := s.table()
	a, b := f.consume(table, often), f.consume(table, often)
	f.writeRound(f.foreign(), "old", 6, 8)
	testkit.Eventually(t, s.all("old", 6, 8))
	testkit.Eventually(t, f.committed(8))

	f.makeAgain(6)
	f.writeRound(f.foreign(), "new", 6, 15)
	testkit.Eventually(t, s.all("new", 6, 15))
	testkit.Eventually(t, f.committed(15))
	testkit.Eventually(t, remarks("the topic orders was deleted and made again: it is read from its beginning", a, b))
	require.Contains(t, f.logs.String(), "was deleted and made again")
	require.NoError(t, a.Check(t.Context()), "it is no failure")
}

// Brokers drop a topic's offsets with it, but a tool may bring them back, and so may a broker that was slow.
func TestATopicMadeAgainWhileItsReadersWereStoppedIsReadFromItsBeginning(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	var s seen
	table := s.table()
	first := f.consume(table, often)
	f.writeRound(f.foreign(), "old", 1, 8)
	testkit.Eventually(t, f.committed(8))
	require.NoError(t, first.stop())
	old := f.offsetFetch()

	f.makeAgain(1)
	f.writeRound(f.foreign(), "new", 1, 15)
	f.offsetCommit(old)
	second := f.consume(table, often)
	testkit.Eventually(t, s.all("new", 1, 15))
	testkit.Eventually(t, f.committed(15))
	testkit.Eventually(t, remarks("the topic orders was deleted and made again", second))
	require.NotEqual(t, *old.Metadata, *f.offsetFetch().Metadata, "the topic's id is not kept beside the offset")
}

func TestPartitionsThatATopicGetsAreReadSoonAndThoseThatAreGoneAreNotCounted(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	var s seen
	r := f.consume(s.table(), often)
	f.writeRound(f.foreign(), "few", 1, 1)
	testkit.Eventually(t, s.all("few", 1, 1))

	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 10_000
	req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: f.cfg.TopicPrefix + messages.TopicOrders, Count: 3}}
	resp, err := req.RequestWith(t.Context(), f.foreign())
	require.NoError(t, err)
	require.NoError(t, kerr.ErrorForCode(resp.Topics[0].ErrorCode))
	f.writeRound(f.foreign(), "more", 3, 2)
	testkit.Eventually(t, s.all("more", 3, 2)) // the client alone looks once a minute
	testkit.Eventually(t, r.has("consumer_lag{partition=2,topic=orders}", true))

	f.makeAgain(1)
	testkit.Eventually(t, r.has("consumer_lag{partition=2,topic=orders}", false))
	testkit.Eventually(t, r.has("consumer_next_offset{partition=2,topic=orders}", false))
	f.deleteOrders()
	testkit.Eventually(t, r.has("consumer_lag{partition=0,topic=orders}", false))
}
