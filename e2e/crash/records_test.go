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

	"pasdetrois/e2e/progress"
)

// wire reads what stands in Kafka, as a plain client.
type wire struct{ progress.Kafka }

// throttle lets the broker take next to nothing from any producer, or ends that. Reading and committing go on, so
// whatever was acknowledged before it was published is committed as done. Who was throttled stays so until it is killed.
func (w wire) throttle(ctx context.Context, on bool) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers...))
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

// records reads all topics from their beginning to where they end now.
func (w wire) records(ctx context.Context) (all []record, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = w.With(ctx, func(client *kgo.Client, ends kadm.ListedOffsets) error {
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
	}, kgo.ConsumeTopics(w.Topics()...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
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
	read := record{Topic: strings.TrimPrefix(r.Topic, w.Prefix), Event: body.Event, OrderID: body.OrderID, Kind: body.Kind,
		PaymentID: body.PaymentID, Body: string(r.Value)}
	for _, h := range r.Headers {
		if h.Key == "ce_id" {
			read.MessageID = string(h.Value)
		}
	}
	return read, nil
}
