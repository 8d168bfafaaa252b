package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/feed"
	toolkafka "pasdetrois/toolbox/kafka"
)

// position is the place of a record in Kafka.
type position struct {
	topic     string // contract name, without the prefix
	partition int32
	offset    int64
}

func (p position) String() string { return fmt.Sprintf("%s/%d@%d", p.topic, p.partition, p.offset) }

// wire is the plain Kafka client of one act. It writes as a foreign producer does. It reads all four topics,
// from their ends at the time of openWire. Its topic names are those of the contract; it adds and removes the
// prefix.
type wire struct {
	prefix, groups string
	client         *kgo.Client // writes and administers
	admin          *kadm.Client
	feed           *feed.Feed
	read           []*kgo.Record // in the order of reading, with contract topic names
}

// openWire connects the act to Kafka, once. Call it before the first order of interest: earlier records are not
// read.
func (a *act) openWire() {
	if !a.ok() || a.wire != nil {
		return
	}
	options, err := toolkafka.Options(a.env.Kafka)
	if !a.try(err, "connect to Kafka") {
		return
	}
	reader, err := feed.Open(a.ctx, feed.Config{Kafka: a.env.Kafka, Topics: messages.TopicNames(), Follow: true, OpenTime: a.patience()})
	if !a.try(err, "connect to Kafka") {
		return
	}
	// Partitions are chosen by the caller, so that a scenario can place records behind each other.
	writer, err := kgo.NewClient(append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if !a.try(err, "connect to Kafka") {
		reader.Close()
		return
	}
	a.wire = &wire{prefix: a.env.Kafka.TopicPrefix, groups: a.env.Kafka.GroupPrefix, client: writer, admin: kadm.NewClient(writer), feed: reader}
}

func (w *wire) close() {
	w.feed.Close()
	w.client.Close()
}

// write writes one record unchanged to this partition, and returns its position when Kafka has acknowledged it.
func (a *act) write(topic string, partition int32, key, value []byte, headers ...kgo.RecordHeader) position {
	a.openWire()
	if !a.ok() {
		return position{}
	}
	r := &kgo.Record{Topic: a.wire.prefix + topic, Partition: partition, Key: key, Value: value, Headers: headers}
	err := a.wire.client.ProduceSync(a.ctx, r).FirstErr()
	a.try(err, "write to %s", topic)
	return position{topic: topic, partition: partition, offset: r.Offset}
}

// catchUp reads all four topics up to their present ends, and keeps the records.
func (w *wire) catchUp(ctx context.Context) error {
	records, err := w.feed.CatchUp(ctx)
	w.read = append(w.read, records...)
	return err
}

// records returns the records read so far whose key is one of the orders, oldest first within a partition.
func (w *wire) records(orderIDs ...string) []*kgo.Record {
	var found []*kgo.Record
	for _, r := range w.read {
		if slices.Contains(orderIDs, string(r.Key)) {
			found = append(found, r)
		}
	}
	return found
}

// committed asks Kafka for the offsets of all groups, in one call. The returned function gives a service's
// committed offset in a partition; it is -1 when the group has committed none there.
func (w *wire) committed(ctx context.Context) (func(service, topic string, partition int32) int64, error) {
	var groups []string
	for _, group := range messages.Groups() {
		groups = append(groups, w.groups+group.String())
	}
	answers := w.admin.FetchManyOffsets(ctx, groups...)
	for _, answer := range answers {
		// A group that no member has joined yet has committed nothing.
		if answer.Err != nil && !errors.Is(answer.Err, kerr.GroupIDNotFound) {
			return nil, fmt.Errorf("ask for the committed offsets: %w", answer.Err)
		}
	}
	return func(service, topic string, partition int32) int64 {
		o, ok := answers[w.groups+messages.Group{Service: service, Topic: topic}.String()].Fetched.Lookup(w.prefix+topic, partition)
		if !ok {
			return -1
		}
		return o.At
	}, nil
}
