package erasure

import (
	"context"
	"log/slog"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/deadletter"
)

// Parker parks records that cannot be handled. Of a record of an erased user it keeps the position alone: a dead letter would bring
// the name back. A record that is no JSON, and whose user no pattern finds, is parked as any other.
type Parker struct {
	Letters *deadletter.Store
	Erased  *Register
	Log     *slog.Logger
}

// Park implements bus.Parker.
func (p Parker) Park(ctx context.Context, r messages.Record, reason, detail, stack string) error {
	if !p.Erased.InRecord(r) {
		return p.Letters.Park(ctx, r, reason, detail, stack)
	}
	p.Log.Info("not kept as a dead letter: the record is of an erased user", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset,
		"status", reason)
	return p.Letters.Pass(ctx, r, reason)
}
