//go:build crash

package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
)

// wire reads what stands in Kafka, as a plain client.
type wire struct {
	brokers []string
	prefix  string
}

func (w wire) topics() []string {
	var names []string
	for _, spec := range stack.Topics(1) {
		names = append(names, w.prefix+spec.Name)
	}
	return names
}

// groups are the consumer groups, by the topic that each reads.
func (w wire) groups() map[string]string {
	return map[string]string{
		w.prefix + "orders.orders":               w.prefix + messages.TopicOrders,
		w.prefix + "orders.payments":             w.prefix + messages.TopicPayments,
		w.prefix + "orders.order-failures":       w.prefix + messages.TopicOrderFailures,
		w.prefix + "payments.payments":           w.prefix + messages.TopicPayments,
		w.prefix + "notifications.notifications": w.prefix + messages.TopicNotifications,
	}
}

func (w wire) with(do func(client *kgo.Client, ends kadm.ListedOffsets) error, ctx context.Context, opts ...kgo.Opt) error {
	opts = append([]kgo.Opt{kgo.SeedBrokers(w.brokers...)}, opts...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, w.topics()...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("ask Kafka where the topics end: %w", err)
	}
	return do(client, ends)
}

// throttle lets the broker take next to nothing from any producer, or ends that. Reading and committing go on, so
// whatever was acknowledged before it was published is committed as done. Who was throttled stays so until it is killed.
func (w wire) throttle(ctx context.Context, on bool) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers...))
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer client.Close()
	everybody := kadm.ClientQuotaEntity{{Type: "client-id"}}
	altered, err := kadm.NewClient(client).AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{Entity: everybody,
		Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: 100, Remove: !on}}}})
	for _, a := range altered {
		if err == nil {
			err = a.Err
		}
	}
	if err != nil {
		return fmt.Errorf("set the producers' quota: %w", err)
	}
	return nil
}

// lag returns how many records the consumer groups have not committed yet, of all topics and partitions.
func (w wire) lag(ctx context.Context) (lag int64, err error) {
	err = w.with(func(client *kgo.Client, ends kadm.ListedOffsets) error {
		for group, topic := range w.groups() {
			committed, err := kadm.NewClient(client).FetchOffsets(ctx, group)
			if err != nil {
				return fmt.Errorf("ask Kafka how far %s is: %w", group, err)
			}
			for partition, end := range ends[topic] {
				at := int64(0)
				if o, ok := committed.Lookup(topic, partition); ok {
					at = o.At
				}
				lag += end.Offset - at
			}
		}
		return nil
	}, ctx)
	return lag, err
}

// records reads all topics from their beginning to where they end now.
func (w wire) records(ctx context.Context) (all []record, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = w.with(func(client *kgo.Client, ends kadm.ListedOffsets) error {
		left := map[string]map[int32]int64{}
		var open int
		ends.Each(func(o kadm.ListedOffset) {
			if left[o.Topic] == nil {
				left[o.Topic] = map[int32]int64{}
			}
			if left[o.Topic][o.Partition] = o.Offset; o.Offset > 0 {
				open++
			}
		})
		for open > 0 {
			fetches := client.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return fmt.Errorf("read what stands in Kafka: %w", err)
			}
			var broken error
			fetches.EachRecord(func(r *kgo.Record) {
				if r.Offset == left[r.Topic][r.Partition]-1 {
					open--
				}
				read, err := w.read(r)
				if err != nil {
					broken = err
				}
				all = append(all, read)
			})
			if broken != nil {
				return broken
			}
		}
		return nil
	}, ctx, kgo.ConsumeTopics(w.topics()...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond))
	return all, err
}

func (w wire) read(r *kgo.Record) (record, error) {
	var body struct {
		Event     string `json:"event"`
		OrderID   string `json:"order_id"`
		Kind      string `json:"kind"`
		PaymentID string `json:"payment_id"`
	}
	if err := json.Unmarshal(r.Value, &body); err != nil {
		return record{}, fmt.Errorf("read %s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	read := record{Topic: strings.TrimPrefix(r.Topic, w.prefix), Event: body.Event, OrderID: body.OrderID, Kind: body.Kind,
		PaymentID: body.PaymentID, Body: string(r.Value)}
	for _, h := range r.Headers {
		if h.Key == "ce_id" {
			read.MessageID = string(h.Value)
		}
	}
	return read, nil
}
