package simulate

import (
	"context"
	"net/http"
	"sync"
	"time"

	"pasdetrois/toolbox/client"
)

const (
	// pollEvery is the pause between two looks at what was sent. How long an email took is read from what the service
	// wrote down, so that the pause does not blur it.
	pollEvery = 250 * time.Millisecond
	// recentTime is how long after it was due an order is looked for in the list of all; then it is asked about alone.
	recentTime = 3 * time.Second
	// clockMargin is how far the services' clocks may differ from ours without more requests than needed.
	clockMargin = time.Second
	// maxPages bounds how much of the list of all notifications one look reads.
	maxPages = 10
	// maxAsked bounds how many orders one look asks about alone.
	maxAsked = 50
	// askers is how many of them at a time.
	askers = 5
)

// watch learns again and again what became of the open orders, until ctx ends.
func (r *run) watch(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := r.look(ctx); ctx.Err() == nil {
				r.mu.Lock()
				r.blind = err
				r.mu.Unlock()
			}
		case <-ctx.Done():
			return
		}
	}
}

// look reads the list of all notifications back to when the oldest recent order was due, and asks about those alone that
// are late. When many are late, the list is cheaper.
func (r *run) look(ctx context.Context) error {
	w := r.open.look(time.Now().Add(-recentTime), maxAsked)
	back := w.recent
	if len(w.stragglers) == maxAsked {
		back = w.since
	}
	var problem error
	if !back.IsZero() {
		problem = r.list(ctx, back.Add(-clockMargin))
	}
	if err := r.ask(ctx, w.stragglers); problem == nil {
		problem = err
	}
	return problem
}

func (r *run) list(ctx context.Context, back time.Time) error {
	var all []client.Notification
	defer func() { r.open.learn(all) }() // of several pages also what was read before an error
	cursor := ""
	for range maxPages {
		page, err := r.cfg.Shop.RecentNotifications(ctx, cursor)
		if err != nil {
			return err
		}
		all = append(all, page.Items...)
		n := len(page.Items)
		if page.NextCursor == "" || n == 0 || page.Items[n-1].CreatedAt.Before(back) {
			return nil
		}
		cursor = page.NextCursor
	}
	return nil
}

func (r *run) ask(ctx context.Context, list []straggler) error {
	var wg sync.WaitGroup
	next := make(chan straggler)
	errs := make([]error, askers)
	for n := range askers {
		wg.Go(func() {
			for s := range next {
				if errs[n] == nil { // else the service has trouble of its own
					errs[n] = r.askAbout(ctx, s)
				}
			}
		})
	}
	for _, s := range list {
		next <- s
	}
	close(next)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *run) askAbout(ctx context.Context, s straggler) error {
	if s.uncertain {
		_, err := r.cfg.Shop.Order(ctx, s.id, 0)
		switch {
		case client.StatusOf(err) == http.StatusNotFound:
			r.open.drop(s.id)
			return nil
		case err != nil:
			return err
		}
	}
	list, err := r.cfg.Shop.Notifications(ctx, s.id)
	if err == nil {
		r.open.learn(list)
	}
	return err
}
