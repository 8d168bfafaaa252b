package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	toolkafka "pasdetrois/toolbox/kafka"
)

// place of a record in Kafka.
type place struct {
	topic     string // contract name
	partition int32
	offset    int64
}

func (p place) String() string { return fmt.Sprintf("%s/%d@%d", p.topic, p.partition, p.offset) }

// wire is a plain Kafka client of one act: it writes what a foreign producer would write, and reads all four topics
// from where they ended when the act opened it.
type wire struct {
	prefix, groups string
	client         *kgo.Client
	admin          *kadm.Client
	next           map[string]map[int32]int64 // contract topic -> partition -> offset read next
	read           []*kgo.Record              // in the order of reading, with contract topic names
}

// openWire connects the act to Kafka; the records written from now on can be read with records.
func (a *act) openWire() {
	if !a.ok() || a.wire != nil {
		return
	}
	w := &wire{prefix: a.env.Kafka.TopicPrefix, groups: a.env.Kafka.GroupPrefix, next: map[string]map[int32]int64{}}
	options, err := toolkafka.Options(a.env.Kafka)
	if !a.try(err, "connect to Kafka") {
		return
	}
	plain, err := kgo.NewClient(options...)
	if !a.try(err, "connect to Kafka") {
		return
	}
	defer plain.Close()
	ends, err := kadm.NewClient(plain).ListCommittedOffsets(a.ctx, w.topicNames()...)
	if !a.try(err, "ask Kafka where the topics end") || !a.try(ends.Error(), "ask Kafka where the topics end") {
		return
	}
	from := map[string]map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		if from[o.Topic] == nil {
			from[o.Topic] = map[int32]kgo.Offset{}
			w.next[w.contract(o.Topic)] = map[int32]int64{}
		}
		from[o.Topic][o.Partition] = kgo.NewOffset().At(o.Offset)
		w.next[w.contract(o.Topic)][o.Partition] = o.Offset
	})
	reading, err := toolkafka.ReadingOptions(func(int) bool { return true }) // all that is read is kept, and the demo alone writes it
	if !a.try(err, "connect to Kafka") {
		return
	}
	w.client, err = kgo.NewClient(append(append(options, reading...),
		kgo.ConsumePartitions(from),
		kgo.KeepControlRecords(), // they count as read, or the end of a topic with transactions would never be reached
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)...)
	if !a.try(err, "connect to Kafka") {
		return
	}
	w.admin = kadm.NewClient(w.client)
	a.wire = w
}

func (w *wire) close() { w.client.CloseAllowingRebalance() }

func (w *wire) topicNames() []string {
	names := messages.TopicNames()
	for i := range names {
		names[i] = w.prefix + names[i]
	}
	return names
}

func (w *wire) contract(topic string) string { return strings.TrimPrefix(topic, w.prefix) }

// write writes one record to the given partition, as it is, and returns where it landed.
func (a *act) write(topic string, partition int32, key, value []byte, headers ...kgo.RecordHeader) place {
	a.openWire()
	if !a.ok() {
		return place{}
	}
	r := &kgo.Record{Topic: a.wire.prefix + topic, Partition: partition, Key: key, Value: value, Headers: headers}
	err := a.wire.client.ProduceSync(a.ctx, r).FirstErr()
	a.try(err, "write to %s", topic)
	return place{topic: topic, partition: partition, offset: r.Offset}
}

// catchUp reads all four topics up to where they end now.
func (w *wire) catchUp(ctx context.Context) error {
	ends, err := w.admin.ListCommittedOffsets(ctx, w.topicNames()...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("ask Kafka where the topics end: %w", err)
	}
	behind := func() bool {
		var any bool
		ends.Each(func(o kadm.ListedOffset) {
			any = any || w.next[w.contract(o.Topic)][o.Partition] < o.Offset
		})
		return any
	}
	for behind() {
		fetches := w.client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, failed := range fetches.Errors() {
			var large *kgo.ErrDecompressTooLarge
			if errors.As(failed.Err, &large) { // the services pass over it, too
				w.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{large.Topic: {large.Partition: {Epoch: large.Epoch, Offset: large.NextOffset}}})
				w.next[w.contract(large.Topic)][large.Partition] = large.NextOffset
				continue
			}
			return fmt.Errorf("read %s: %w", failed.Topic, failed.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			r.Topic = w.contract(r.Topic)
			w.next[r.Topic][r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				w.read = append(w.read, r)
			}
		})
	}
	return nil
}

// records returns what was written about the orders so far, oldest first within a partition.
func (w *wire) records(orderIDs ...string) []*kgo.Record {
	var found []*kgo.Record
	for _, r := range w.read {
		if slices.Contains(orderIDs, string(r.Key)) {
			found = append(found, r)
		}
	}
	return found
}

// committed asks how far the consumer groups of the topics are.
func (w *wire) committed(ctx context.Context) (func(service, topic string, partition int32) int64, error) {
	var groups []string
	for _, topic := range messages.TopicNames() {
		for _, service := range messages.Consumers(topic) {
			groups = append(groups, w.groups+service+"."+topic)
		}
	}
	answers := w.admin.FetchManyOffsets(ctx, groups...)
	for _, answer := range answers {
		// A group that nobody joined yet has committed nothing.
		if answer.Err != nil && !errors.Is(answer.Err, kerr.GroupIDNotFound) {
			return nil, fmt.Errorf("ask how far the consumers are: %w", answer.Err)
		}
	}
	return func(service, topic string, partition int32) int64 {
		o, ok := answers[w.groups+service+"."+topic].Fetched.Lookup(w.prefix+topic, partition)
		if !ok {
			return -1
		}
		return o.At
	}, nil
}
