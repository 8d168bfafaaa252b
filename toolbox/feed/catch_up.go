package feed

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// CatchUp returns the records up to the present ends of the topics that Poll and CatchUp have not returned before. It
// may return later records too. With an error it also returns the records before it, which no later call returns. The
// feed must follow and read alone.
func (f *Feed) CatchUp(ctx context.Context) ([]*kgo.Record, error) {
	ends, err := listed(f.admin.ListCommittedOffsets(ctx, f.cfg.names()...))
	if err != nil {
		return nil, err
	}
	var all []*kgo.Record
	for f.behind(ends) {
		records, err := f.once(ctx)
		all = append(all, records...)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// behind reports whether a partition has offsets below its end that were not read. A partition that widen has not found
// yet counts.
func (f *Feed) behind(ends map[string]map[int32]int64) bool {
	for topic, partitions := range ends {
		for partition, end := range partitions {
			if f.next[topic][partition] < end {
				return true
			}
		}
	}
	return false
}
