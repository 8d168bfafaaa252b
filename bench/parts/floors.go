package parts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/bench/load"
	"pasdetrois/pkg/platform/batch"
)

// payload is about the size of a message of the contract, in bytes.
const payload = 300

// Hop measures the time of a record from one program to another over an idle topic. Records are written one at
// a time with acks=all; the time ends when the reader has the record.
func Hop(ctx context.Context, brokers []string, topic string, n int) (l load.Latency, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	writer, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0))
	if err != nil {
		return l, fmt.Errorf("measure a hop: %w", err)
	}
	defer writer.Close()
	reader, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMinBytes(1))
	if err != nil {
		return l, fmt.Errorf("measure a hop: %w", err)
	}
	defer reader.Close()
	const warm = 50 // opens every connection and begins every partition's fetch
	var times []time.Duration
	for i := range n + warm {
		began := time.Now()
		record := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "key-%d", i), Value: []byte(strings.Repeat("x", payload))}
		writer.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				cancel(fmt.Errorf("write: %w", err))
			}
		})
		// One record is on the way at a time, so the next fetch with a record has this one.
		for got := 0; got == 0; {
			fetches := reader.PollFetches(ctx)
			if err := fetches.Err0(); err != nil {
				return l, fmt.Errorf("measure a hop: %w", errors.Join(err, context.Cause(ctx)))
			}
			got = fetches.NumRecords()
		}
		if i >= warm {
			times = append(times, time.Since(began))
		}
	}
	return load.Latencies(times), nil
}

const (
	floorSQL = `CREATE TABLE IF NOT EXISTS floor (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, content text)`
	fillSQL  = `INSERT INTO floor (content) VALUES ($1)`
)

// Commit measures the time of a transaction of one INSERT on an idle server: mostly the write to the disk.
func Commit(ctx context.Context, adminURL string, n int) (l load.Latency, err error) {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return l, fmt.Errorf("measure a commit: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, floorSQL)
	times := make([]time.Duration, n)
	for i := range times {
		began := time.Now()
		if err == nil {
			_, err = conn.Exec(ctx, fillSQL, strings.Repeat("x", payload))
		}
		times[i] = time.Since(began)
	}
	if err != nil {
		return l, fmt.Errorf("measure a commit: %w", err)
	}
	return load.Latencies(times), nil
}

// Coalescing measures the cost of the coalescer for a lone call: the median of n calls through it, less the
// median of n calls without it. Both kinds alternate, so that both have the same caches and clock speed.
func Coalescing(ctx context.Context, n int) (time.Duration, error) {
	handle := func(_ context.Context, batch []int) []int { return batch }
	c := batch.New(batch.Config[int, int]{Handle: handle})
	defer c.Close()
	through, directly := make([]time.Duration, n), make([]time.Duration, n)
	for i := range n {
		began := time.Now()
		if _, err := c.Do(ctx, i); err != nil {
			return 0, fmt.Errorf("measure coalescing: %w", err)
		}
		through[i] = time.Since(began)
		began = time.Now()
		handle(ctx, []int{i})
		directly[i] = time.Since(began)
	}
	slices.Sort(through)
	slices.Sort(directly)
	return load.Percentile(through, 0.5) - load.Percentile(directly, 0.5), nil
}
