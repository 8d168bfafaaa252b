package simulate

import (
	"context"
	"net/http"
	"sync"
	"time"

	"pasdetrois/toolbox/client"
)

const (
	// pollEvery is the time between two requests for the emails that were sent. Latencies use the service's own times, so
	// this pause does not blur them.
	pollEvery = 250 * time.Millisecond
	// recentTime is how long the list of all notifications must cover an order; later a request of its own asks for it.
	recentTime = 3 * time.Second
	// clockMargin is how far the services' clocks may differ from this one before an email is found late.
	clockMargin = time.Second
	// maxPages bounds the pages of all notifications that one look reads.
	maxPages = 10
	// maxAsked bounds the orders for which one look sends requests of their own.
	maxAsked = 50
	// askers is how many of these requests run at a time.
	askers = 5
)

// watch asks for the outcomes of the open orders again and again, until ctx ends. A failure is kept in blind until the
// next look succeeds: the summary then says why outcomes are missing.
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

// look reads the list of all notifications back to the moment when the oldest recent order was due. Late orders get
// requests of their own. When many are late, the list is also read back to the oldest of them: that is cheaper than
// many requests.
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

// list reads the list, newest first, until a page reaches back far enough. Pages read before an error count.
func (r *run) list(ctx context.Context, back time.Time) error {
	var all []client.Notification
	defer func() { r.open.learn(all) }() // also after an error: the pages before it are right
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

// ask asks for single orders, askers at a time. An asker that met an error asks no more: the service has trouble of its
// own.
func (r *run) ask(ctx context.Context, list []straggler) error {
	var wg sync.WaitGroup
	next := make(chan straggler)
	errs := make([]error, askers)
	for n := range askers {
		wg.Go(func() {
			for s := range next {
				if errs[n] == nil {
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

// askAbout asks for one order's notifications. An uncertain order is first looked up: if the service answers 404, it
// does not exist and is dropped.
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
