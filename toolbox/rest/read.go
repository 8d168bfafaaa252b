package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	toolkafka "pasdetrois/toolbox/kafka"
)

// item is a record in an answer, or one that the answer skips because it is not JSON.
type item struct {
	record  *kgo.Record
	skipped bool
}

// skippedHeader says how many records an answer skips.
const skippedHeader = "Pas-Skipped-Records"

// limits are when a read ends.
type limits struct {
	timeout  time.Duration
	joinTime time.Duration
	maxBytes int
	minBytes int
}

func (i *instance) records(w http.ResponseWriter, r *http.Request) error {
	media, err := recordsType(r, i.settings.format)
	if err != nil {
		return err
	}
	within, err := i.limits(r)
	if err != nil {
		return err
	}
	if i.client == nil {
		return illegalState("Consumer is not subscribed to any topics or assigned any partitions")
	}
	// The server's read deadline is for sending a request, not for waiting for its answer.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	ctx := r.Context()
	if i.settings.autoCommit {
		i.commitBefore(ctx)
	}
	if err := i.isGone(); err != nil {
		return err
	}
	defer i.putBack()
	err = i.collect(ctx, within)
	switch {
	case i.alive.Err() != nil:
		return instanceNotFound()
	case ctx.Err() != nil:
		return withStatus(http.StatusServiceUnavailable)
	case err != nil:
		return err
	}
	return i.deliver(w, media)
}

// limits reads timeout (milliseconds) and max_bytes.
func (i *instance) limits(r *http.Request) (limits, error) {
	l := limits{timeout: i.settings.timeout, joinTime: i.settings.joinTime, maxBytes: maxReadBytes, minBytes: i.settings.minBytes}
	if text := r.URL.Query().Get("timeout"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return l, invalid("timeout %q is not a number of milliseconds", text)
		}
		if n >= 0 { // below 0 means the default, as for max_bytes
			l.timeout, l.joinTime = min(time.Duration(n)*time.Millisecond, maxReadTime), 0
		}
	}
	if text := r.URL.Query().Get("max_bytes"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return l, invalid("max_bytes %q is not a number of bytes", text)
		}
		if n > 0 {
			l.maxBytes = int(min(n, maxReadBytes))
		}
	}
	return l, nil
}

// commitBefore commits the records of earlier answers: the client calls again, so it has them. A failure is logged, and the next
// call tries again.
func (i *instance) commitBefore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, kafkaTime)
	defer cancel()
	if err := i.commitRead(ctx); err != nil {
		i.warn("commit what was read", err)
	}
}

// collect fills the answer until it is large enough, or has records and no more come for quietTime, or the time is over. It
// fails only when it has no record.
func (i *instance) collect(ctx context.Context, within limits) error {
	i.awaitPartitions(ctx, within.joinTime)
	deadline := time.Now().Add(within.timeout)
	var failure error
	for polled := false; ; polled = true {
		size, full := i.take(within.maxBytes)
		if full || i.isTooLarge() || size > 0 && i.server.memory.full() || within.minBytes > 0 && size >= within.minBytes || polled && !time.Now().Before(deadline) {
			break
		}
		until := deadline
		if quiet := time.Now().Add(quietTime); !i.empty() && within.minBytes <= 0 && quiet.Before(deadline) {
			until = quiet
		}
		came, err := i.fetch(ctx, until)
		if err != nil || errors.As(failure, new(*Error)) { // a fetch had no memory before, and has it now
			failure = err
		}
		if ctx.Err() != nil || i.isGone() != nil || came == 0 && !time.Now().Before(until) {
			break
		}
	}
	if i.empty() && ctx.Err() == nil {
		if err := i.passOver(); err != nil {
			return err
		}
	}
	if i.empty() && failure == nil && ctx.Err() == nil {
		if failure = i.notLetIn(); failure == nil {
			failure = i.reachable(ctx)
		}
	}
	if i.empty() && failure != nil {
		return kafkaError(failure)
	}
	return nil
}

// awaitPartitions waits for the group's first assignment: without it, the first read of every guide would find nothing.
func (i *instance) awaitPartitions(ctx context.Context, patience time.Duration) {
	i.mu.Lock()
	joined := i.joined
	i.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-joined:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// fetch is poll when there is memory for the records that may come. It also waits for memory, but not when there are records
// to answer with.
func (i *instance) fetch(ctx context.Context, until time.Time) (came int, err error) {
	if i.server.memory.full() && i.client.BufferedFetchRecords() == 0 {
		err = noMemory()
	} else if came, err = i.poll(ctx, until); !errors.As(err, new(*Error)) || came > 0 {
		return came, err
	}
	timer := time.NewTimer(min(quietTime, time.Until(until)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return 0, err
}

// poll waits until then for records. It returns how many came.
func (i *instance) poll(ctx context.Context, until time.Time) (int, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	return i.keep(i.client.PollFetches(ctx))
}

// keep keeps the records of partitions that the instance still reads, and the errors that stop it from reading more.
func (i *instance) keep(fetches kgo.Fetches) (came int, failure error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	fetches.EachError(func(topic string, partition int32, err error) {
		var large *kgo.ErrDecompressTooLarge
		var session *kgo.ErrGroupSession
		switch {
		case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed):
			return
		case errors.Is(err, toolkafka.ErrNoRoom):
			failure = noMemory()
			return
		case errors.As(err, &large):
			if i.assigned[partitionOfBatch(large)] {
				i.tooLarge = append(i.tooLarge, large)
			}
			return
		case errors.Is(err, kerr.UnknownTopicID):
			i.forget(topic)
			failure = remadeTopic(topic)
		}
		i.server.cfg.Log.Warn("read", "group", i.id.group, "instance", i.id.name, "topic", topic, "partition", partition, "err", kafka.Readable(err))
		switch {
		case !errors.As(err, &session):
			failure = err
		case !isRetriable(err): // retriable: an outage, perhaps one that is over; the client joins again by itself
			i.refused = err
		}
	})
	plain := 0
	fetches.EachRecord(func(r *kgo.Record) {
		if r.Attrs.CompressionType() == 0 {
			plain += toolkafka.Memory(r)
		}
		if i.assigned[partitionOf(r)] {
			i.buffer = append(i.buffer, r)
			came++
		}
	})
	i.share.handedOver(plain)
	return came, failure
}

// notLetIn returns why the group rejects the instance. The client keeps trying and reports the reason only now and then.
func (i *instance) notLetIn() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.refused
}

// reachable pings Kafka when no record came: an empty answer must not hide that Kafka is away.
func (i *instance) reachable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, kafkaTime)
	defer cancel()
	return i.server.client.Ping(ctx)
}

// take moves records from the buffer into the answer while they fit. The first always fits, or a large record would block its
// partition for ever. It returns the size of the answer and whether the next record does not fit.
func (i *instance) take(maxBytes int) (size int, full bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, it := range i.answer {
		size += it.size()
	}
	for len(i.buffer) > 0 {
		next := item{record: i.buffer[0], skipped: i.settings.format == formatJSON && !isJSON(i.buffer[0].Value)}
		if size > 0 && size+next.size() > maxBytes {
			return size, true
		}
		size += next.size()
		i.answer, i.buffer = append(i.answer, next), i.buffer[1:]
	}
	return size, size >= maxBytes
}

// size is how many bytes of max_bytes a record counts.
func (it item) size() int {
	if it.skipped {
		return 0
	}
	return max(1, len(it.record.Key)+len(it.record.Value))
}

func (i *instance) empty() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.answer) == 0
}
