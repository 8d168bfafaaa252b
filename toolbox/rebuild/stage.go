package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/cores"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/toolbox/feed"
)

// stage reads the topics behind the progress of an earlier run, or from their beginning. Staged records of topics that are not
// there any more are removed first.
func (r *run) stage(ctx context.Context) error {
	var err error
	if r.progress, err = r.staging.Progress(ctx); err != nil {
		return err
	}
	f, err := r.open(ctx)
	var remade *feed.RemadeError
	var gone *feed.GoneError
	if errors.As(err, &remade) && remade.Known || errors.As(err, &gone) {
		r.step("the topics are not those that an earlier run read: reading them from the beginning")
		if err := r.staging.Clear(ctx); err != nil {
			return err
		}
		r.progress = map[rebuild.Place]rebuild.Progress{}
		f, err = r.open(ctx)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if waiting := f.Waiting(); len(waiting) > 0 {
		return &WaitingError{waiting[0]}
	}
	if err := r.begin(ctx, f); err != nil {
		return err
	}
	return r.read(ctx, f)
}

func (r *run) open(ctx context.Context) (*feed.Feed, error) {
	cfg := feed.Config{Kafka: r.Kafka, Trusted: r.Trusted, Topics: messages.TopicNames(), OpenTime: r.OpenTime, Start: feed.Start{Beginning: true,
		At: map[string]map[int32]int64{}, IDs: map[string]string{}}}
	cfg.Most = 4_000
	for p, at := range r.progress {
		if cfg.Start.At[p.Topic] == nil {
			cfg.Start.At[p.Topic] = map[int32]int64{}
		}
		cfg.Start.At[p.Topic][p.Partition] = at.Next
		cfg.Start.IDs[p.Topic] = at.TopicID
	}
	cfg.PassOver = func(p feed.Passed) {
		r.report.Notes = append(r.report.Notes, p.String())
		r.unreadable = append(r.unreadable, messages.Record{Topic: p.Topic, Partition: p.Partition, Offset: p.First, LastOffset: max(p.Next-1, 1)})
	}
	return feed.Open(ctx, cfg)
}

// begin sets what is known of each partition before its records are read. The largest committed offset counts: an earlier run
// may have moved the group back already.
func (r *run) begin(ctx context.Context, f *feed.Feed) error {
	r.ids = f.IDs()
	committed, err := r.brokers.committed(ctx, r.Service, r.ids)
	if err != nil {
		return err
	}
	starts, ends, err := r.brokers.offsets(ctx)
	if err != nil {
		return err
	}
	r.report.Resumed = len(r.progress) > 0
	for topic, partitions := range f.Positions() {
		for partition, at := range partitions {
			p := rebuild.Place{Topic: topic, Partition: partition}
			known := r.progress[p]
			known.TopicID, known.Next = r.ids[topic], at
			if known.First == nil {
				known.First = map[string]int64{}
			}
			if now, ok := committed[p]; ok && (known.Committed == nil || *known.Committed < now) {
				known.Committed = &now
			}
			r.progress[p] = known
			r.total += max(ends[p]-at, 0)
			if starts[p] > 0 {
				r.report.Notes = append(r.report.Notes, fmt.Sprintf("%s/%d begins at offset %d: the records before it were deleted", topic, partition, starts[p]))
			}
		}
	}
	slices.Sort(r.report.Notes)
	return nil
}

// heard is what one record is for the state.
type heard struct {
	key, event string
	unreadable bool
}

// read reads to the ends, and stores what it read whenever flushBytes are there. Reading goes on while Postgres stores.
func (r *run) read(ctx context.Context, f *feed.Feed) error {
	r.step("reading the topics")
	other, err := rebuild.NewStaging(r.lease, r.Trusted)
	if err != nil {
		return err
	}
	defer other.Close()
	filling, resting := r.staging, other
	saved := make(chan error, 1)
	saved <- nil
	save := func() error {
		if err := <-saved; err != nil {
			saved <- nil
			return err
		}
		full, progress := filling, copied(r.progress)
		filling, resting = resting, filling
		go func() { saved <- full.Save(ctx, progress) }()
		return nil
	}
	defer func() { <-saved }() // Save uses the staging
	for {
		records, err := f.Poll(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = r.take(ctx, records, filling)
		}
		if err != nil {
			return err
		}
		if filling.Size() >= r.flushBytes {
			if err := save(); err != nil {
				return err
			}
		}
		r.Progress(Progress{Done: r.report.Records, Total: r.total})
	}
	if err := r.explain(ctx); err != nil {
		return err
	}
	if err := save(); err != nil {
		return err
	}
	err = <-saved
	saved <- nil
	return err
}

func copied(progress map[rebuild.Place]rebuild.Progress) map[rebuild.Place]rebuild.Progress {
	c := maps.Clone(progress)
	for p, at := range c {
		at.First = maps.Clone(at.First)
		c[p] = at
	}
	return c
}

// take adds the records that the state wants.
func (r *run) take(ctx context.Context, records []*kgo.Record, into *rebuild.Staging) error {
	for i, h := range r.hear(records) {
		record := records[i]
		p := rebuild.Place{Topic: record.Topic, Partition: record.Partition}
		at := r.progress[p]
		at.Next = record.Offset + 1
		r.report.Records++
		switch {
		case h.key != "":
			into.Add(h.key, feed.Record(record))
			if _, known := at.First[h.event]; !known {
				at.First[h.event] = record.Offset
			}
		case h.unreadable && at.Unreadable == nil && at.Committed != nil && record.Offset < *at.Committed:
			r.unreadable = append(r.unreadable, feed.Record(record))
		}
		r.progress[p] = at
	}
	return r.explain(ctx)
}

// hear decodes records on all cores.
func (r *run) hear(records []*kgo.Record) []heard {
	all := make([]heard, len(records))
	cores.Each(len(records), func(i int) {
		m, err := (feed.Config{Trusted: r.Trusted}).Message(records[i])
		if err != nil {
			all[i].unreadable = !errors.Is(err, messages.ErrUnknownEvent)
			return
		}
		all[i].key, all[i].event = r.State.Key(m), m.Event.EventName()
	})
	return all
}

// explain looks for the dead letters of records that the service had handled and cannot read. The first record of a partition
// without a letter is read again, so that the service parks it again.
func (r *run) explain(ctx context.Context) error {
	if len(r.unreadable) == 0 {
		return nil
	}
	parked, err := deadletter.Parked(ctx, r.Pool, r.unreadable)
	if err != nil {
		return err
	}
	for i, record := range r.unreadable {
		p := rebuild.Place{Topic: record.Topic, Partition: record.Partition}
		at := r.progress[p]
		if handled := at.Committed != nil && record.Offset < *at.Committed; handled && !parked[i] && at.Unreadable == nil {
			at.Unreadable = &record.Offset
			r.progress[p] = at
		}
	}
	r.unreadable = nil
	return nil
}
