package parts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/bench/stats"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/batch"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/pgdb"
)

// Relay is what the relay does on a migrated database.
type Relay struct {
	Brokers  []string
	Prefix   string
	OrdersDB string // URL of the role orders
}

const (
	memoryRows = 10_000 // what the relay holds in memory at most
	inOneTx    = 250
)

// watching tells of what is acknowledged.
type watching struct {
	bus.Publisher
	acked func(records []messages.Record)
}

func (w watching) PublishRecords(ctx context.Context, records ...messages.Record) error {
	err := w.Publisher.PublishRecords(ctx, records...)
	if err == nil {
		w.acked(records)
	}
	return err
}

// with runs a relay that leaves rows to memory for grace. acked is told what Kafka has acknowledged.
func (r Relay) with(ctx context.Context, grace time.Duration, acked func([]messages.Record), do func(pool *pgxpool.Pool, relay *outbox.Relay, start func()) error) (err error) {
	defer collectAsShipped()()
	pool, err := pgdb.Open(pgdb.Config{URL: r.OrdersDB, Schema: "orders", AppName: "bench", MaxConns: 16})
	if err != nil {
		return err
	}
	defer pool.Close()
	producer, err := bus.NewProducer(bus.Config{Brokers: r.Brokers, TopicPrefix: r.Prefix}, "orders", silent())
	if err != nil {
		return err
	}
	defer producer.Close()
	relay := outbox.NewRelay(outbox.Config{Pool: pool, Publisher: watching{producer, acked}, Log: silent(), Grace: grace, Poll: 20 * time.Millisecond})
	running, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	return do(pool, relay, func() { wg.Go(func() { _ = relay.Run(running) }) })
}

// Recover measures how many messages a second the relay moves that somebody left behind in the table.
func (r Relay) Recover(ctx context.Context, n int) (rate float64, err error) {
	done := newCounter(n)
	err = r.with(ctx, 100*time.Millisecond, func(records []messages.Record) { done.count(len(records)) }, func(pool *pgxpool.Pool, _ *outbox.Relay, start func()) error {
		if _, err := commit(ctx, pool, 0, n); err != nil {
			return err
		}
		start()
		rate, err = done.await(ctx)
		return err
	})
	return rate, err
}

// Relay measures how many messages a second it moves that were just committed and handed over.
func (r Relay) Relay(ctx context.Context, n int) (rate float64, err error) {
	n = min(n, memoryRows)
	done := newCounter(n)
	err = r.with(ctx, patience, func(records []messages.Record) { done.count(len(records)) }, func(pool *pgxpool.Pool, relay *outbox.Relay, start func()) error {
		start()
		if err := pause(ctx, time.Second); err != nil { // until it has looked at the table
			return err
		}
		rows, err := commit(ctx, pool, 0, n)
		if err != nil {
			return err
		}
		relay.Enqueue(rows...)
		rate, err = done.await(ctx)
		return err
	})
	return rate, err
}

// Latency measures how long it takes from a commit to the acknowledgement by Kafka, at so many commits a second. Those of the
// first second warm it up.
func (r Relay) Latency(ctx context.Context, n int, perSecond float64) (l stats.Latency, err error) {
	var mu sync.Mutex
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
	err = r.with(ctx, patience, acked, func(pool *pgxpool.Pool, relay *outbox.Relay, start func()) error {
		start()
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		// Commits share transactions as they do in the product.
		committing := batch.New(batch.Config[int, error]{Workers: 2, Handle: func(ctx context.Context, batch []int) []error {
			rows, err := commitAll(ctx, pool, batch)
			now := time.Now()
			mu.Lock()
			for i, row := range rows {
				if batch[i] >= warm {
					committed[string(row.Record.Key)] = now
				}
			}
			mu.Unlock()
			relay.Enqueue(rows...)
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
			if err := pause(ctx, time.Until(at)); err != nil {
				return err
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
	return stats.Latencies(times), err
}

// commit commits the messages from first on, many in a transaction.
func commit(ctx context.Context, pool *pgxpool.Pool, first, n int) (rows []outbox.Row, err error) {
	for from := first; from < first+n; from += inOneTx {
		var batch []int
		for i := from; i < min(from+inOneTx, first+n); i++ {
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

// commitAll commits messages in one transaction.
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
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
