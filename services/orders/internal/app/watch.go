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

// Watch returns the order as soon as its version is greater than the one given; at once when it already is. It returns
// ErrNotFound, or ctx's error when ctx ends first.
func (a *App) Watch(ctx context.Context, orderID string, afterVersion int64) (domain.Order, error) {
	return a.watch(ctx, orderID, func(o domain.Order) bool { return o.Version > afterVersion })
}

// WaitSettled returns the order as soon as it is settled, or as it is when ctx ends: ask the order which. It returns
// ErrNotFound when there is no such order.
func (a *App) WaitSettled(ctx context.Context, orderID string) (domain.Order, error) {
	o, err := a.watch(ctx, orderID, func(o domain.Order) bool { return o.Status.Settled() })
	if err != nil && ctx.Err() != nil && o.ID != "" {
		return o, nil
	}
	return o, err
}

// watch returns the first state of the order that is wanted. With ctx's error it returns the last state that it saw.
func (a *App) watch(ctx context.Context, orderID string, wanted func(domain.Order) bool) (domain.Order, error) {
	w := a.watchers.add(orderID)
	defer a.watchers.remove(w)
	// Read after the watcher is in place: what is committed from now on reaches it.
	o, err := a.Store.Order(ctx, orderID)
	if err != nil {
		return domain.Order{}, err
	}
	a.watchers.tell(o) // the poll need not read it again
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
	newer, err := a.Store.Newer(ctx, versions)
	if err != nil {
		if ctx.Err() == nil {
			a.Log.Debug("could not look for changes that somebody waits for", "err", err)
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
