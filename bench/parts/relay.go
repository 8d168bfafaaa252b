package parts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/bench/load"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/batch"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
)

// Relay measures the outbox relay on a migrated database. A message takes one of two ways:
//
//	memory  commit -> Enqueue -> Kafka -> row deleted        (the normal way)
//	table   commit -> grace passes -> read -> Kafka -> row deleted   (another process has left it)
type Relay struct {
	Brokers  []string
	Prefix   string
	OrdersDB string // URL of the role orders
}

const (
	// memoryRows is the most that the relay holds in memory; more would take the way over the table. inOneTx is
	// the number of messages in one transaction of the preparation.
	memoryRows = 10_000 // the most that the relay holds in memory
	inOneTx    = 250
)

// observed is a publisher that reports the records that Kafka has acknowledged.
type observed struct {
	bus.Publisher
	acked func(records []messages.Record)
}

// PublishRecords reports records only after Kafka has acknowledged all of them.
func (o observed) PublishRecords(ctx context.Context, records ...messages.Record) error {
	err := o.Publisher.PublishRecords(ctx, records...)
	if err == nil {
		o.acked(records)
	}
	return err
}

// running is a relay with its pool. The relay does nothing before start.
type running struct {
	pool  *pgxpool.Pool
	relay *outbox.Relay
	start func()
}

// with calls do with a relay that leaves rows to the way over memory for grace. acked receives the acknowledged
// records and may be called concurrently. with ends the relay and waits for it.
func (r Relay) with(ctx context.Context, grace time.Duration, acked func([]messages.Record), do func(running) error) error {
	defer collectAsShipped()()
	pool, err := pgdb.Open(pgdb.Config{URL: r.OrdersDB, Schema: "orders", AppName: "bench", MaxConns: poolSize})
	if err != nil {
		return err
	}
	defer pool.Close()
	producer, err := bus.NewProducer(bus.ProducerConfig{Config: kafka.Config{Brokers: r.Brokers, TopicPrefix: r.Prefix}, Service: "orders", Log: silent()})
	if err != nil {
		return err
	}
	defer producer.Close()
	// A short Poll lets Recover find rows at once.
	//
	relay := outbox.NewRelay(outbox.Config{Pool: pool, Publisher: observed{producer, acked}, Log: silent(), Grace: grace, Poll: 20 * time.Millisecond})
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	return do(running{pool, relay, func() { wg.Go(func() { _ = relay.Run(ctx) }) }})
}

// Recover measures the messages per second that the relay moves from the table, as after a crash.
func (r Relay) Recover(ctx context.Context, n int) (rate float64, err error) {
	done := newCounter(n)
	err = r.with(ctx, 100*time.Millisecond, func(records []messages.Record) { done.count(len(records)) }, func(now running) error {
		_, err := commit(ctx, now.pool, n)
		if err == nil {
			now.start()
			rate, err = done.await(ctx)
		}
		return err
	})
	return rate, err
}

// Relay measures the messages per second that the relay moves from memory, right after their commit. n is cut
// to what memory holds.
func (r Relay) Relay(ctx context.Context, n int) (rate float64, err error) {
	n = min(n, memoryRows)
	done := newCounter(n)
	err = r.with(ctx, patience, func(records []messages.Record) { done.count(len(records)) }, func(now running) error {
		now.start()
		if !wait.Sleep(ctx, time.Second) { // until the relay has read the table
			return context.Cause(ctx)
		}
		rows, err := commit(ctx, now.pool, n)
		if err == nil {
			now.relay.Enqueue(rows...)
			rate, err = done.await(ctx)
		}
		return err
	})
	return rate, err
}

// Latency measures the time from a commit to Kafka's acknowledgement, at a rate of commits per second. The
// commits of the first second warm the relay up and do not count.
func (r Relay) Latency(ctx context.Context, n int, perSecond float64) (l load.Latency, err error) {
	var mu sync.Mutex
	// A record counts from the end of its commit. The lock orders that entry before the acknowledgement:
	// Enqueue comes later.
	committed := map[string]time.Time{} // by key
	var times []time.Duration
	warm := int(perSecond)
	done := newCounter(warm + n)
	acked := func(records []messages.Record) {
		now := time.Now()
		mu.Lock()
		for _, record := range records {
			if at, counts := committed[string(record.Key)]; counts {
				times = append(times, now.Sub(at))
			}
		}
		mu.Unlock()
		done.count(len(records))
	}
	err = r.with(ctx, patience, acked, func(now running) error {
		now.start()
		if !wait.Sleep(ctx, time.Second) {
			return context.Cause(ctx)
		}
		// Commits share transactions, as in the product.
		committing := batch.New(batch.Config[int, error]{Workers: 2, Handle: func(ctx context.Context, batch []int) []error {
			rows, err := commitAll(ctx, now.pool, batch)
			at := time.Now()
			mu.Lock()
			for i, row := range rows {
				if batch[i] >= warm {
					committed[string(row.Record.Key)] = at
				}
			}
			mu.Unlock()
			now.relay.Enqueue(rows...)
			errs := make([]error, len(batch))
			for i := range errs {
				errs[i] = err
			}
			return errs
		}})
		defer committing.Close()
		errs := make(chan error, warm+n)
		at := time.Now()
		for i := range warm + n {
			at = at.Add(time.Duration(float64(time.Second) / perSecond))
			if !wait.Sleep(ctx, time.Until(at)) {
				return context.Cause(ctx)
			}
			go func() {
				err, ended := committing.Do(ctx, i)
				errs <- errors.Join(err, ended)
			}()
		}
		for range warm + n {
			if err := <-errs; err != nil {
				return err
			}
		}
		_, err := done.await(ctx)
		return err
	})
	return load.Latencies(times), err
}

// commit commits n messages, inOneTx in each transaction, and returns their rows.
func commit(ctx context.Context, pool *pgxpool.Pool, n int) (rows []outbox.Row, err error) {
	for from := 0; from < n; from += inOneTx {
		var batch []int
		for i := from; i < min(from+inOneTx, n); i++ {
			batch = append(batch, i)
		}
		added, err := commitAll(ctx, pool, batch)
		if err != nil {
			return nil, err
		}
		rows = append(rows, added...)
	}
	return rows, nil
}

// commitAll commits messages in one transaction and returns their rows.
func commitAll(ctx context.Context, pool *pgxpool.Pool, batch []int) (rows []outbox.Row, err error) {
	all := make([]messages.Message, len(batch))
	for n, i := range batch {
		id := fmt.Sprintf("relayed-%d", i)
		all[n] = messages.Message{ID: messages.ID(id, messages.EventOrderPlaced, "bench"), Source: "orders", Time: time.Now(),
			Event: messages.OrderPlaced{OrderID: id, UserID: "user", HasTotal: true, Total: messages.Money{Minor: 4999, Currency: "USD"}}}
	}
	err = pgdb.InTx(ctx, pool, func(ctx context.Context, tx *pgdb.Tx) error {
		var batch pgx.Batch
		if err := outbox.Add(&batch, func(added []outbox.Row) { rows = added }, all...); err != nil {
			return err
		}
		return tx.Finish(ctx, &batch)
	})
	return rows, err
}
