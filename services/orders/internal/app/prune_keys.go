package app

import "context"

// pruneSize is how many idempotency keys are forgotten at a time.
const pruneSize = 1000

// PruneKeys forgets idempotency keys older than KeyTTL. It returns their number: call it again while that is more than 0.
func (a *App) PruneKeys(ctx context.Context) (int, error) {
	return a.cfg.Store.PruneKeys(ctx, a.now().Add(-a.cfg.KeyTTL), pruneSize)
}
