package app

import (
	"context"
	"sync"
	"time"

	"pasdetrois/services/orders/internal/domain"
)

// pollEvery is how often the watched orders are read, all in one query, for commits of other replicas. Commits of this process
// reach the watchers at once.
const pollEvery = 250 * time.Millisecond

// readWithin bounds one read for watchers: a database that hangs must not block them, or stop the polling for ever.
const readWithin = 2 * time.Second

// Watch returns the order as soon as its version is greater than the one given; at once when it already is. It returns
// ErrNotFound, an error of the database, or ctx's error when ctx ends first.
func (a *App) Watch(ctx context.Context, orderID string, afterVersion int64) (domain.Order, error) {
	w := a.watchers.add(orderID)
	defer a.watchers.remove(w)
	o, err := a.latest(ctx, orderID)
	if err != nil {
		return domain.Order{}, err
	}
	return w.until(ctx, o, func(o domain.Order) bool { return o.Version > afterVersion })
}

// WaitSettled returns the order as soon as it is settled, or its last state when ctx ends. o is its state so far. It ignores
// errors of the database meanwhile: commits of this process, and reads once the database is back, still count.
func (a *App) WaitSettled(ctx context.Context, o domain.Order) domain.Order {
	w := a.watchers.add(o.ID)
	defer a.watchers.remove(w)
	if newer, err := a.latest(ctx, o.ID); err == nil {
		o = newer
	} else if ctx.Err() == nil {
		a.cfg.Log.Warn("reading a watched order failed", "order_id", o.ID, "err", err)
	}
	o, _ = w.until(ctx, o, func(o domain.Order) bool { return o.Status.Settled() }) // the end of ctx is not an error here
	return o
}

// latest reads an order after its watcher is in place, so that each later commit reaches the watcher. A watcher whose caller may
// not read the order gets ErrNotFound here, before it looks at any news.
func (a *App) latest(ctx context.Context, orderID string) (domain.Order, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	o, err := a.cfg.Store.Order(ctx, orderID, readable(ctx))
	if err == nil {
		a.watchers.send(o) // the poll need not read it again
	}
	return o, err
}

// until returns the first state of the order, o or a newer one, for which wanted is true; with ctx's error the last one.
func (w *watcher) until(ctx context.Context, o domain.Order, wanted func(domain.Order) bool) (domain.Order, error) {
	for !wanted(o) {
		select {
		case newer := <-w.news:
			if newer.Version > o.Version {
				o = newer
			}
		case <-ctx.Done():
			return o, ctx.Err()
		}
	}
	return o, nil
}

// Run reads commits of other replicas, while orders are watched, until ctx ends.
func (a *App) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.watchers.some:
		}
		tick := time.NewTicker(pollEvery)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return nil
			case <-tick.C:
			}
			waiting = a.poll(ctx)
		}
		tick.Stop()
	}
}

// poll reads the watched orders. It reports whether there are any.
func (a *App) poll(ctx context.Context) bool {
	versions := a.watchers.versions()
	if len(versions) == 0 {
		return false
	}
	read, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	newer, err := a.cfg.Store.Newer(read, versions)
	if err != nil {
		if ctx.Err() == nil {
			a.cfg.Log.Debug("reading the watched orders failed", "err", err)
		}
		return true
	}
	for _, o := range newer {
		a.watchers.send(o)
	}
	return true
}

// watchers has the watchers of each order.
type watchers struct {
	some chan struct{} // has a value once there is a watcher

	mu   sync.Mutex
	byID map[string]*watched
}

type watched struct {
	version int64 // of the newest state that the watchers got
	all     map[*watcher]struct{}
}

type watcher struct {
	orderID string
	news    chan domain.Order // holds the newest only
}

func newWatchers() *watchers {
	return &watchers{some: make(chan struct{}, 1), byID: make(map[string]*watched)}
}

func (ws *watchers) add(orderID string) *watcher {
	w := &watcher{orderID: orderID, news: make(chan domain.Order, 1)}
	ws.mu.Lock()
	entry := ws.byID[orderID]
	if entry == nil {
		entry = &watched{all: make(map[*watcher]struct{})}
		ws.byID[orderID] = entry
	}
	entry.all[w] = struct{}{}
	ws.mu.Unlock()
	select {
	case ws.some <- struct{}{}:
	default:
	}
	return w
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	entry := ws.byID[w.orderID]
	if delete(entry.all, w); len(entry.all) == 0 {
		delete(ws.byID, w.orderID)
	}
}

// send sends a new state to the watchers of the order. It drops a state that is older than the last.
func (ws *watchers) send(o domain.Order) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	entry := ws.byID[o.ID]
	if entry == nil || o.Version <= entry.version {
		return
	}
	entry.version = o.Version
	for w := range entry.all {
		select {
		case <-w.news:
		default:
		}
		w.news <- o
	}
}

func (ws *watchers) versions() map[string]int64 {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	versions := make(map[string]int64, len(ws.byID))
	for id, entry := range ws.byID {
		versions[id] = entry.version
	}
	return versions
}
