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

// item is a record in an answer. A skipped one is not JSON: it is not shown, and counts as read all the same.
type item struct {
	record  *kgo.Record
	skipped bool
}

// skippedHeader is the response header with the number of records that the answer skips. It is missing when there are
// none.
const skippedHeader = "Pas-Skipped-Records"

// limits are the bounds of one read. timeout begins when the group has assigned partitions, or after joinTime. minBytes
// ends the read early; at 0 or below, a read ends when no more records come.
type limits struct {
	timeout  time.Duration
	joinTime time.Duration
	maxBytes int
	minBytes int
}

// records is the read call: it commits the records of earlier answers, collects records, and sends them. Records that
// are not sent, for any reason, return to the buffer. An empty answer is no error.
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
	// The server's read deadline is for the request alone, and a read may wait longer.
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

// limits reads the parameters timeout (milliseconds) and max_bytes. Larger values than the server's own bounds are
// reduced to these.
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

// commitBefore commits the records of earlier answers: the client calls again, so it has handled them. A failure is
// logged, and the next call tries again. The read goes on without it, since its records are uncommitted in any case.
func (i *instance) commitBefore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, kafkaTime)
	defer cancel()
	if err := i.commitRead(ctx); err != nil {
		i.warn("commit what was read", err)
	}
}

// collect fills the answer. It ends at the first of these:
//
//   - The answer is full, or has minBytes.
//   - A batch that inflates too far comes next.
//   - There are records, and no more came for quietTime.
//   - There are records, and the memory is used up.
//   - The time is over, ctx ends, or the topic is gone.
//
// With records it returns no error, because the error is met again by the next read. Without records it returns the
// first of: the batch to pass over, a failed fetch, the group's rejection, a Kafka that does not answer.
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

// awaitPartitions waits for the group's first assignment, for patience at most. Without it the first read of every
// guide would return nothing, because joining a group takes seconds.
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

// fetch polls if there is memory for the records that may come. Otherwise it waits for memory, for quietTime at most,
// and returns the error that says so. The caller repeats it while its time lasts, since other requests give memory
// back.
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

// poll waits for records, until the given time at most. It returns how many came.
func (i *instance) poll(ctx context.Context, until time.Time) (int, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	return i.keep(i.client.PollFetches(ctx))
}

// keep adds the fetched records to the buffer, except those of partitions that the instance lost meanwhile. It returns
// the last error that stops reading.
//
// Some errors are no failure. The end of the wait is ordinary. A batch that inflates too far is kept for passOver. An
// error of the group that a retry heals is left to franz-go, which joins again by itself. An error of the group that no
// retry heals is kept in refused, for notLetIn.
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
		case errors.Is(err, kerr.UnknownTopicID): // failure has the answer
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

// notLetIn returns the reason why the group rejects the instance, nil when it does not. The client keeps trying, and
// reports the reason only now and then, so it is kept until an assignment.
func (i *instance) notLetIn() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.refused
}

// reachable pings Kafka when no record came: an empty answer must not hide that Kafka is away. It takes kafkaTime at
// most.
func (i *instance) reachable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, kafkaTime)
	defer cancel()
	return kafka.Reach(ctx, i.server.client)
}

// take moves records from the buffer into the answer while they fit. The first always fits, or a large record would
// block its partition for ever. It returns the size of the answer, and whether no more record fits.
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

// size is how much of max_bytes a record uses: the bytes of key and value, at least 1. A skipped record uses nothing,
// because it is not sent.
func (it item) size() int {
	if it.skipped {
		return 0
	}
	return max(1, len(it.record.Key)+len(it.record.Value))
}

// empty reports whether the answer has no record, not even a skipped one.
func (i *instance) empty() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.answer) == 0
}
