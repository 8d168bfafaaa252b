package app

import (
	"context"
	"sync"
	"time"

	"pasdetrois/services/orders/internal/domain"
)

// pollEvery is how often the orders that somebody waits for are looked up, all in one query, for what other replicas
// committed. Commits of this process are known at once.
const pollEvery = 250 * time.Millisecond

// readWithin bounds one read on behalf of those who wait: a database that hangs must not take them along, nor stop the
// looking for ever.
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

// WaitSettled returns the order as soon as it is settled, or as it was last seen when ctx ends: ask the order which. o is
// what is known of it. A database that fails meanwhile is no error: what this process commits, and what is seen once the
// database is back, still counts.
func (a *App) WaitSettled(ctx context.Context, o domain.Order) domain.Order {
	w := a.watchers.add(o.ID)
	defer a.watchers.remove(w)
	if newer, err := a.latest(ctx, o.ID); err == nil {
		o = newer
	} else if ctx.Err() == nil {
		a.cfg.Log.Warn("could not read an order that somebody waits for", "order_id", o.ID, "err", err)
	}
	o, _ = w.until(ctx, o, func(o domain.Order) bool { return o.Status.Settled() }) // the end of ctx is no error here
	return o
}

// latest reads an order whose watcher is in place: what is committed from now on reaches it.
func (a *App) latest(ctx context.Context, orderID string) (domain.Order, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	o, err := a.cfg.Store.Order(ctx, orderID)
	if err == nil {
		a.watchers.tell(o) // the poll need not read it again
	}
	return o, err
}

// until returns the first state of the order that is wanted, o or a newer one; with ctx's error the last one known.
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

// Run looks up what other replicas committed, while somebody waits, until ctx ends.
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

// poll reports whether anybody still waits.
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
			a.cfg.Log.Debug("could not look for changes that somebody waits for", "err", err)
		}
		return true
	}
	for _, o := range newer {
		a.watchers.tell(o)
	}
	return true
}

// watchers knows who waits for which order.
type watchers struct {
	some chan struct{} // has a value when the first watcher came

	mu   sync.Mutex
	byID map[string]*watched
}

type watched struct {
	version int64 // newest that the watchers were told of
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

// tell hands a new state to whoever waits for the order. An older one than the last is dropped.
func (ws *watchers) tell(o domain.Order) {
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
