package app

import "context"

// ParkHeld parks held messages whose order did not arrive within HeldTimeout. It returns their number: call it again while
// that is more than 0.
func (a *App) ParkHeld(ctx context.Context) (int, error) {
	n := 0
	_, err := a.inWork(ctx, func(ctx context.Context, w *work) error {
		held, err := w.tx.HeldSince(ctx, w.now.Add(-a.cfg.HeldTimeout), sweepSize)
		if err != nil {
			return err
		}
		n = len(held)
		for _, h := range held {
			err := unknownOrder(h.OrderID)
			w.out.Applied = append(w.out.Applied, h.ID)
			w.out.Park = append(w.out.Park, Parked{Record: h.Record, Reason: ReasonUnknownOrder, Detail: err.Error()})
			a.cfg.Log.Warn("message parked: its order did not arrive", "event", h.Event, "order_id", h.OrderID, "topic", h.Record.Topic,
				"partition", h.Record.Partition, "offset", h.Record.Offset, "err", err)
		}
		return nil
	})
	return n, err
}
