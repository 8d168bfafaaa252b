//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/bench/load"
	"pasdetrois/e2e/purchase"
)

// hostility writes records that no client of ours would, and orders of foreign clients between them.
type hostility struct {
	*field
	client *kgo.Client

	mu      sync.Mutex
	at      map[position]bool // where hostile records stand
	refused int               // by the broker
	foreign int               // orders of foreign clients so far
}

// position is where a record stands.
type position struct {
	Topic     string
	Partition int32
	Offset    int64 `db:"record_offset"`
}

const (
	hostileRate   = 500 // records a second
	inflateEvery  = 2_000
	transactEvery = 200
	foreignEvery  = 20
)

// hostile writes size records of every size and shape.
func (f *field) hostile() error {
	client, err := kgo.NewClient(kgo.SeedBrokers(f.kafka.Brokers...), kgo.ProducerBatchMaxBytes(2<<20))
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer client.Close()
	h := &hostility{field: f, client: client, at: map[position]bool{}}
	f.hostility = h
	tick := time.NewTicker(time.Second / hostileRate)
	defer tick.Stop()
	for f.faults < f.size {
		<-tick.C
		if err := h.next(f.faults); err != nil {
			return err
		}
		if f.faults++; f.faults%5000 == 0 {
			f.say("%d of %d records written, %d refused by the broker; %d orders taken", f.faults, f.size, h.refused, f.shop.taken())
		}
	}
	if err := client.Flush(f.ctx); err != nil {
		return fmt.Errorf("write hostile records: %w", err)
	}
	return f.recovered("hostile records")
}

func (h *hostility) next(n int) error {
	switch {
	case n%inflateEvery == 1:
		return h.inflate(n / inflateEvery)
	case n%transactEvery == 2:
		return h.transact(n/transactEvery%2 == 0)
	case n%foreignEvery == 3:
		told, record := h.order()
		h.client.Produce(h.ctx, record, func(_ *kgo.Record, err error) {
			if err == nil {
				h.note(told, true)
			}
		})
		return nil
	}
	record := shapes()[n%len(shapes())].make(h.rng)
	if record.Topic == "" {
		record.Topic = h.kafka.Topics()[h.rng.IntN(4)]
	} else {
		record.Topic = h.kafka.Prefix + record.Topic
	}
	h.client.Produce(h.ctx, record, h.wrote)
	return nil
}

func (h *hostility) wrote(r *kgo.Record, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.refused++
		return
	}
	h.at[position{strings.TrimPrefix(r.Topic, h.kafka.Prefix), r.Partition, r.Offset}] = true
}

// order is a minimal order of a foreign client.
func (h *hostility) order() (*note, *kgo.Record) {
	h.foreign++
	user := fmt.Sprintf("foreign-%06d", h.foreign)
	told := &note{Purchase: purchase.Purchase{User: user, TotalMinor: 49_99, Method: purchase.CardVisa}}
	value := fmt.Appendf(nil, `{"order_id":%q,"user_id":%q,"total":49.99}`, user, user)
	return told, &kgo.Record{Topic: h.kafka.Topics()[0], Value: value}
}

// note gives a foreign client's note to those of all customers.
func (h *hostility) note(told *note, taken bool) {
	if taken {
		told.tell(told.User)
	} else {
		told.Refused = 1 // its transaction was aborted: the order never was
	}
	h.shop.mu.Lock()
	defer h.shop.mu.Unlock()
	h.shop.notes = append(h.shop.notes, told)
}

// transact writes an order and two hostile records in one transaction, which is committed or aborted.
func (h *hostility) transact(commit bool) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(h.kafka.Brokers...), kgo.TransactionalID(h.kafka.Prefix+"hostile"))
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	told, record := h.order()
	written := client.ProduceSync(h.ctx, record, &kgo.Record{Topic: h.kafka.Topics()[1], Value: []byte("{")},
		&kgo.Record{Topic: h.kafka.Topics()[2], Value: nil})
	if err := written.FirstErr(); err != nil {
		return fmt.Errorf("write in a transaction: %w", err)
	}
	if err := client.EndTransaction(h.ctx, kgo.TransactionEndTry(commit)); err != nil {
		return fmt.Errorf("end a transaction: %w", err)
	}
	for _, w := range written {
		if w.Record != record {
			h.wrote(w.Record, nil)
		}
	}
	h.note(told, commit)
	return nil
}

// inflate writes one small batch that is large when it is read.
func (h *hostility) inflate(n int) error {
	codecs := []struct {
		codec kgo.CompressionCodec
		size  int
	}{{kgo.ZstdCompression(), 150 << 20}, {kgo.GzipCompression(), 90 << 20}, {kgo.Lz4Compression(), 20 << 20}, {kgo.SnappyCompression(), 2 << 20}}
	c := codecs[n%len(codecs)]
	client, err := kgo.NewClient(kgo.SeedBrokers(h.kafka.Brokers...), kgo.ProducerBatchCompression(c.codec),
		kgo.ProducerBatchMaxBytes(256<<20), kgo.BrokerMaxWriteBytes(512<<20), kgo.MaxBufferedBytes(512<<20))
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer client.Close()
	value := make([]byte, c.size)
	for i := range value {
		value[i] = ' '
	}
	copy(value, `{"order_id":"inflated","user_id":"u","total":1}`)
	ctx, cancel := context.WithTimeout(h.ctx, 20*time.Second)
	defer cancel()
	written := client.ProduceSync(ctx, &kgo.Record{Topic: h.kafka.Topics()[n%4], Value: value})
	h.wrote(written[0].Record, written[0].Err)
	return nil
}

const parkedSQL = `
SELECT topic, partition, record_offset FROM orders.audit_dead_letters
UNION ALL SELECT topic, partition, record_offset FROM payments.audit_dead_letters
UNION ALL SELECT topic, partition, record_offset FROM notifications.audit_dead_letters`

// onlyHostile: no message of an honest client was parked.
func onlyHostile(f *field, v *verdict, _ load.Latency) {
	var parked []position
	err := f.ask(f.ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(f.ctx, parkedSQL)
		if err == nil {
			parked, err = pgx.CollectRows(rows, pgx.RowToStructByName[position])
		}
		return err
	})
	if err != nil {
		v.wrong("read the dead letters: %v", err)
		return
	}
	f.hostility.mu.Lock()
	defer f.hostility.mu.Unlock()
	for _, p := range parked {
		p.Topic = strings.TrimPrefix(p.Topic, f.kafka.Prefix)
		if !f.hostility.at[p] {
			v.wrong("the message at %s/%d@%d is parked and is an honest one", p.Topic, p.Partition, p.Offset)
		}
	}
	f.say("%d hostile records stand in the topics, %d were refused by the broker, %d are parked", len(f.hostility.at), f.hostility.refused, len(parked))
}

// shape makes hostile records of one kind.
type shape struct {
	name string
	make func(rng *rand.Rand) *kgo.Record
}
