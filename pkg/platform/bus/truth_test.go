package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
)

// has checks whether a series with this name and these labels is there.
func (r *running) has(series string, want bool) func() error {
	return func() error {
		all, err := r.gauges()
		if err != nil {
			return err
		}
		if _, there := all[series]; there != want {
			return fmt.Errorf("series %s: there is %v, want %v", series, there, want)
		}
		return nil
	}
}

// shows checks a series' value.
func (r *running) shows(series string, want float64) func() error {
	return func() error {
		all, err := r.gauges()
		if err != nil {
			return err
		}
		if got, there := all[series]; !there || got != want {
			return fmt.Errorf("%s is %v (there: %v), want %v", series, got, there, want)
		}
		return nil
	}
}

// gauges returns the values of all gauges and counters, by name and labels.
func (r *running) gauges() (map[string]float64, error) {
	families, err := r.registry.Gather()
	all := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := strings.TrimPrefix(family.GetName(), "pasdetrois_") + "{" + strings.Join(labels, ",") + "}"
			all[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all, err
}

// offsetFetch returns what the group of service test has committed of the first partition.
func (f *fixture) offsetFetch() kmsg.OffsetFetchResponseTopicPartition {
	f.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = f.cfg.GroupPrefix + "test." + messages.TopicOrders
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: f.cfg.TopicPrefix + messages.TopicOrders, Partitions: []int32{0}}}
	resp, err := req.RequestWith(f.t.Context(), f.foreign(byName()))
	require.NoError(f.t, err)
	require.NoError(f.t, kerr.ErrorForCode(resp.ErrorCode))
	require.NoError(f.t, kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
	return resp.Topics[0].Partitions[0]
}

// byName makes a client name topics in requests that newer brokers want ids in.
func byName() kgo.Opt { return kgo.MaxVersions(kversion.V3_0_0()) }

// offsetCommit commits an offset of the first partition as a tool does while the group has no members.
func (f *fixture) offsetCommit(at kmsg.OffsetFetchResponseTopicPartition) {
	f.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = f.cfg.GroupPrefix + "test." + messages.TopicOrders
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.Metadata = at.Offset, at.Metadata
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: f.cfg.TopicPrefix + messages.TopicOrders, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
	testkit.Eventually(f.t, func() error {
		resp, err := req.RequestWith(f.t.Context(), f.foreign(byName()))
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	})
}

// transaction writes orders to the first partition in one transaction, and leaves it open.
func (f *fixture) transaction(ids ...string) *kgo.Client {
	f.t.Helper()
	client := f.foreign(kgo.TransactionalID(f.cfg.TopicPrefix+ids[0]), kgo.TransactionTimeout(time.Minute))
	require.NoError(f.t, client.BeginTransaction())
	for _, id := range ids {
		require.NoError(f.t, client.ProduceSync(f.t.Context(), f.orderRecord(0, id)).FirstErr())
	}
	return client
}

func (f *fixture) end(client *kgo.Client, how kgo.TransactionEndTry) {
	f.t.Helper()
	require.NoError(f.t, client.EndTransaction(f.t.Context(), how))
}

func TestLagIsZeroWhenOnlyControlRecordsAndAbortedRecordsAreLeft(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	var s seen
	r := f.consume(s.table(), often)
	f.end(f.transaction("new-0-0", "new-0-1"), kgo.TryCommit)
	f.end(f.transaction("aborted-0-0", "aborted-0-1"), kgo.TryAbort)
	testkit.Eventually(t, s.all("new", 1, 2))
	testkit.Eventually(t, func() error { // two records, a commit, two records, an abort
		end := f.endOffset()
		if end != 6 {
			return fmt.Errorf("the log ends at %d", end)
		}
		return f.committed(end)()
	})
	testkit.Eventually(t, r.shows("consumer_lag{partition=0,topic=orders}", 0))

	// And where there was never anything else.
	f.publish("last")
	testkit.Eventually(t, f.committed(7))
	require.Error(t, s.all("aborted", 1, 1)(), "aborted records are read")
}

// endOffset returns the end of the first partition's log.
func (f *fixture) endOffset() int64 {
	f.t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: f.cfg.TopicPrefix + messages.TopicOrders, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	for _, shard := range f.foreign().RequestSharded(f.t.Context(), req) {
		require.NoError(f.t, shard.Err)
		return shard.Resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].Offset
	}
	return -1
}

func TestATransactionThatSomebodyLeavesOpenIsTold(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	var s seen
	r := f.consume(s.table(), often)
	f.publish("before")
	testkit.Eventually(t, f.committed(1))
	open := f.transaction("held-0-0", "held-0-1")
	f.publish("behind")
	testkit.Eventually(t, remarks("3 records of "+f.cfg.TopicPrefix+"orders/0 wait since", r))
	testkit.Eventually(t, r.shows("consumer_held_records{partition=0,topic=orders}", 3))
	testkit.Eventually(t, r.shows("consumer_lag{partition=0,topic=orders}", 0))
	require.Contains(t, f.logs.String(), "records wait for a transaction that another producer has left open")
	require.NoError(t, r.Check(t.Context()))

	f.end(open, kgo.TryAbort)
	testkit.Eventually(t, r.shows("consumer_held_records{partition=0,topic=orders}", 0))
	testkit.Eventually(t, func() error { return none(r.Topics(t.Context()), "wait since") })
	testkit.Eventually(t, f.committed(5))
}

func none(err error, part string) error {
	if err != nil && strings.Contains(err.Error(), part) {
		return fmt.Errorf("still told: %w", err)
	}
	return nil
}

// deleteRecords deletes what stands before an offset of the first partition, as retention does.
func (f *fixture) deleteRecords(before int64) {
	f.t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: f.cfg.TopicPrefix + messages.TopicOrders,
		Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: before}}}}
	for _, shard := range f.foreign().RequestSharded(f.t.Context(), req) {
		require.NoError(f.t, shard.Err)
		require.NoError(f.t, kerr.ErrorForCode(shard.Resp.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0].ErrorCode))
	}
}

func TestRecordsThatWereDeletedBeforeTheyWereReadAreTold(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	var s seen
	table := s.table()
	first := f.consume(table, often)
	f.writeRound(f.foreign(), "old", 1, 5)
	testkit.Eventually(t, f.committed(5))
	first.Pause(time.Now().Add(time.Hour))
	testkit.Eventually(t, paused(first))
	f.writeRound(f.foreign(), "new", 1, 20)
	testkit.Eventually(t, first.shows("consumer_lag{partition=0,topic=orders}", 20))
	f.deleteRecords(15)
	testkit.Eventually(t, first.shows("consumer_lag{partition=0,topic=orders}", 10)) // only what can still be read counts
	require.NoError(t, first.shows("consumer_missed_records_total{topic=orders}", 0)())

	first.Resume()
	testkit.Eventually(t, f.committed(25))
	require.NoError(t, first.shows("consumer_missed_records_total{topic=orders}", 10)())
	told := "10 records of orders/0 were deleted before they were read, offsets 5 to 14"
	require.Contains(t, f.logs.String(), told)
	testkit.Eventually(t, remarks(told, first))
	require.NoError(t, first.Check(t.Context()))
}

// What is deleted while the group reads is told as well, and what was fetched before that is still handled. The broker
// deletes records behind the reader's back while the reader cannot take any more.
func TestRecordsThatWereDeletedInFrontOfAReaderAreTold(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	const fetched, late, deleted = 400, 380, 5 // more than the queues hold: the reader fetches no further
	begin := make(chan struct{})
	var handled atomic.Int64
	r := f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		<-begin
		if in.Record.Offset >= late { // and the reading has failed before the last ones are handled
			testkit.Eventually(t, func() error {
				if strings.Contains(f.logs.String(), "outside the range of offsets") {
					return nil
				}
				return errors.New("the reader has not noticed")
			})
		}
		handled.Add(1)
		return bus.Result{}
	}), often, func(c *bus.ConsumerConfig) { c.HandleTimeout = time.Minute })
	client := f.foreign()
	write := func(n int) {
		records := make([]*kgo.Record, n)
		for i := range records {
			records[i] = f.orderRecord(0, "one")
			records[i].Key = []byte("one") // one lane
		}
		require.NoError(t, client.ProduceSync(t.Context(), records...).FirstErr())
	}
	write(fetched)
	testkit.Eventually(t, func() error {
		if r.InWork() == 0 {
			return errors.New("nothing is in work")
		}
		return nil
	})
	write(deleted + 1)
	f.deleteRecords(fetched + deleted)
	close(begin)
	testkit.Eventually(t, f.committed(fetched+deleted+1))
	require.EqualValues(t, fetched+1, handled.Load(), "what was fetched is handled")
	require.NoError(t, r.shows("consumer_missed_records_total{topic=orders}", deleted)())
	require.Contains(t, f.logs.String(), fmt.Sprintf("5 records of orders/0 were deleted before they were read, offsets %d to %d", fetched, fetched+deleted-1))
}

func paused(r *running) func() error {
	return func() error {
		if state := r.Status().State; state != "paused" {
			return fmt.Errorf("it is %s", state)
		}
		return nil
	}
}

func TestAStrangerInTheServicesGroupIsNamed(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"classic", "new"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			f := setup(t, 2)
			join := func(balancer kgo.Opt) *kgo.Client {
				return f.foreign(kgo.ClientID("console-consumer"), balancer,
					kgo.ConsumerGroup(f.cfg.GroupPrefix+"test.orders"), kgo.ConsumeTopics(f.cfg.TopicPrefix+messages.TopicOrders))
			}
			var s seen
			var r *running
			var stranger *kgo.Client
			if protocol == "new" { // ours stay away: the embedded broker does not know groups of both protocols as Kafka does
				stranger = join(kgo.ServerSideBalancer())
				f.publish("a")
				require.NoError(t, stranger.PollFetches(t.Context()).Err())
				r = f.consume(s.table(), often)
				r.Pause(time.Now().Add(time.Hour))
			} else {
				r = f.consume(s.table(), often)
				f.publish("a")
				testkit.Eventually(t, s.handled("a"))
				require.NoError(t, none(r.Topics(t.Context()), "another program"), "replicas are no strangers")
				stranger = join(kgo.Balancers(kgo.RangeBalancer()))
			}
			told := "another program is a member of the service's consumer group and takes messages away: console-consumer at 127.0.0.1"
			testkit.Eventually(t, remarks(told, r))
			require.Contains(t, f.logs.String(), told)
			testkit.Eventually(t, func() error { return r.Check(t.Context()) })
			stranger.Close()
			testkit.Eventually(t, func() error { return none(r.Topics(t.Context()), "another program") })
		})
	}
}

func (s *seen) handled(id string) func() error {
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ids[id] == 0 {
			return fmt.Errorf("%s was not handled", id)
		}
		return nil
	}
}
