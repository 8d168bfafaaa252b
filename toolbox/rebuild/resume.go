package rebuild

import (
	"context"
	"maps"
	"slices"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/rebuild"
)

// resume moves each group of the service back to the first record of each partition that must be read again. A partition
// without a committed offset is read from its beginning anyway. Nothing is moved forward.
func (r *run) resume(ctx context.Context) error {
	for p, at := range r.progress {
		if at.Unreadable != nil {
			r.readAgain(p, *at.Unreadable)
		}
	}
	if err := r.brokers.unchanged(ctx, r.ids); err != nil {
		return err
	}
	if err := r.brokers.empty(ctx, r.Service); err != nil {
		return err
	}
	committed, err := r.brokers.committed(ctx, r.Service, r.ids)
	if err != nil {
		return err
	}
	for _, g := range groups(r.Service) {
		to := map[int32]int64{}
		for p, first := range r.again {
			if from, ok := committed[p]; ok && p.Topic == g.Topic && first < from {
				to[p.Partition] = first
			}
		}
		if len(to) == 0 {
			continue
		}
		if !r.DryRun {
			if err := r.brokers.move(ctx, r.Service, g, to, r.ids[g.Topic]); err != nil {
				return err
			}
		}
		for _, partition := range slices.Sorted(maps.Keys(to)) {
			r.report.Moved = append(r.report.Moved, r.moved(g, partition, committed, to[partition]))
		}
	}
	return nil
}

func (r *run) moved(g messages.Group, partition int32, committed map[rebuild.Place]int64, to int64) Moved {
	return Moved{Group: r.Kafka.GroupPrefix + g.String(), Topic: g.Topic, Partition: partition,
		From: committed[rebuild.Place{Topic: g.Topic, Partition: partition}], To: to}
}
