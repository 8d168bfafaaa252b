//go:build cdc

package cdc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topicName  = "cdc.orders.order_events"
	partitions = 6
	patience   = 60 * time.Second
)

// topic is all that was read from the topic so far.
type topic struct {
	t      *testing.T
	client *kgo.Client

	arrived chan struct{} // a token when records were added

	mu      sync.Mutex
	records []*kgo.Record
}

// readTopic reads the topic from now on; it is removed first, and the connector makes it again.
func readTopic(t *testing.T) *topic {
	t.Helper()
	require.NotEmpty(t, os.Getenv("KAFKA_BROKERS"), "KAFKA_BROKERS must name a real Kafka (`make test SUITE=cdc` does)")
	brokers := kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...)
	admin, err := kgo.NewClient(brokers)
	require.NoError(t, err)
	defer admin.Close()
	if _, err := kadm.NewClient(admin).DeleteTopic(t.Context(), topicName); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		require.NoError(t, err)
	}
	client, err := kgo.NewClient(brokers, kgo.ConsumeTopics(topicName), kgo.MetadataMinAge(200*time.Millisecond),
		kgo.MetadataMaxAge(time.Second), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.UnknownTopicRetries(-1))
	require.NoError(t, err)
	r := &topic{t: t, client: client, arrived: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			fetched := client.PollFetches(ctx)
			r.mu.Lock()
			r.records = append(r.records, fetched.Records()...)
			r.mu.Unlock()
			select {
			case r.arrived <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		client.Close()
	})
	return r
}

func (r *topic) all() []*kgo.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records[:len(r.records):len(r.records)]
}

// row is one row of order_events as it stands on the topic.
type row struct {
	OrderID    string    `json:"order_id"`
	Number     int64     `json:"number"`
	Event      string    `json:"event"`
	StatusFrom string    `json:"status_from"`
	StatusTo   string    `json:"status_to"`
	Detail     string    `json:"detail"`
	At         time.Time `json:"at"`
}

// id names a row.
func (r row) id() string { return fmt.Sprintf("%s/%d", r.OrderID, r.Number) }

func (r *topic) row(record *kgo.Record) row {
	r.t.Helper()
	var found row
	require.NoError(r.t, json.Unmarshal(record.Value, &found), "%s", record.Value)
	return found
}

// await waits until every row of the list is there.
func (r *topic) await(ids []string) {
	r.t.Helper()
	late := time.After(patience)
	for {
		missing := r.missing(ids)
		if len(missing) == 0 {
			return
		}
		select {
		case <-r.arrived:
		case <-late:
			r.t.Fatalf("%d of %d rows are missing after %s, first %s", len(missing), len(ids), patience, missing[0])
		}
	}
}

func (r *topic) missing(ids []string) (missing []string) {
	there := map[string]bool{}
	for _, record := range r.all() {
		there[r.row(record).id()] = true
	}
	for _, id := range ids {
		if !there[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

// inOrder checks that no row stands on the topic before all earlier rows of its order, and that an order has one partition:
// the one that a Java producer takes for its id. Repeated rows are allowed.
func (r *topic) inOrder() {
	r.t.Helper()
	newest := map[string]int64{}
	place := kgo.StickyKeyPartitioner(nil).ForTopic(topicName)
	for _, record := range r.all() {
		found := r.row(record)
		require.Equal(r.t, found.OrderID, string(record.Key))
		require.EqualValues(r.t, place.Partition(record, partitions), record.Partition, found.OrderID)
		require.LessOrEqual(r.t, found.Number, newest[found.OrderID]+1, "%s came before an earlier row of its order", found.id())
		newest[found.OrderID] = max(newest[found.OrderID], found.Number)
	}
}
