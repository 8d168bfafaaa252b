// Package progress says how far the orders of a running system have come: what is open in the database, whether orders go
// through, and how many records of Kafka are not acknowledged.
package progress

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// Open is the work that is not done at one moment.
type Open struct {
	Orders int // not settled
	Outbox int // messages not known to be published
	Unsent int // emails not known to be sent
}

const openSQL = `
SELECT (SELECT count(*) FROM orders.audit_orders WHERE status <> ALL ($1)),
       (SELECT count(*) FROM orders.audit_outbox),
       (SELECT count(*) FROM notifications.audit_notifications WHERE status = 'pending')`

// Row is a connection or a pool.
type Row interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Look returns what is open now.
func Look(ctx context.Context, db Row) (o Open, err error) {
	if err = db.QueryRow(ctx, openSQL, messages.SettledStatuses()).Scan(&o.Orders, &o.Outbox, &o.Unsent); err != nil {
		err = fmt.Errorf("look what is open: %w", err)
	}
	return o, err
}

// An order that was placed after a moment, and whose customer was told of its end, passed through all three services.
const throughSQL = `
SELECT EXISTS (SELECT FROM orders.audit_orders o JOIN notifications.audit_notifications n ON n.order_id = o.order_id AND n.kind = o.status
               WHERE o.created_at > $1 AND n.status = 'sent')`

// Through reports whether an order that was placed after since has passed through all three services.
func Through(ctx context.Context, db Row, since time.Time) (yes bool, err error) {
	if err = db.QueryRow(ctx, throughSQL, since).Scan(&yes); err != nil {
		err = fmt.Errorf("look whether orders go through: %w", err)
	}
	return yes, err
}

const behindSQL = `SELECT count(*) FROM orders.audit_orders WHERE created_at < $1 AND status <> ALL ($2)`

// Behind returns how many orders that were placed before a moment have no end yet.
func Behind(ctx context.Context, db Row, moment time.Time) (orders int, err error) {
	if err = db.QueryRow(ctx, behindSQL, moment, messages.SettledStatuses()).Scan(&orders); err != nil {
		err = fmt.Errorf("look which orders have no end: %w", err)
	}
	return orders, err
}

// Kafka is where the topics of one system are.
type Kafka struct {
	Brokers []string
	Prefix  string // of topics and groups
}

// Topics returns the full names of the contract's topics.
func (k Kafka) Topics() []string {
	names := messages.TopicNames()
	for i := range names {
		names[i] = k.Prefix + names[i]
	}
	return names
}

// Groups are the consumer groups, by the topic that each reads.
func (k Kafka) Groups() map[string]string {
	topics := map[string]string{}
	for _, g := range messages.Groups() {
		topics[k.Prefix+g.String()] = k.Prefix + g.Topic
	}
	return topics
}

// With connects to Kafka, asks it where the topics end, and calls do.
func (k Kafka) With(ctx context.Context, do func(client *kgo.Client, ends kadm.ListedOffsets) error, opts ...kgo.Opt) error {
	opts = append([]kgo.Opt{kgo.SeedBrokers(k.Brokers...)}, opts...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, k.Topics()...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("ask Kafka where the topics end: %w", err)
	}
	return do(client, ends)
}

// Lag returns how many records the consumer groups have not committed yet, of all topics and partitions.
func (k Kafka) Lag(ctx context.Context) (lag int64, err error) {
	err = k.With(ctx, func(client *kgo.Client, ends kadm.ListedOffsets) error {
		for group, topic := range k.Groups() {
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
	})
	return lag, err
}
