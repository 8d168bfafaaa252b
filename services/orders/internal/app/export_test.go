package app

import "time"

// Configure changes what a was made with.
func Configure(a *App, change func(*Config)) { change(&a.cfg) }

// Waiting returns how many wait for an order.
func (a *App) Waiting(orderID string) int {
	a.watchers.mu.Lock()
	defer a.watchers.mu.Unlock()
	if entry := a.watchers.byID[orderID]; entry != nil {
		return len(entry.all)
	}
	return 0
}

// Crowded lets a see more orders that wait for their end than it may take.
func Crowded(a *App) {
	a.backlog.within = time.Second
	now := a.now().Unix()
	for n := now - 10; n < now+3; n++ {
		*a.backlog.at(n) = second{number: n, taken: backlogOrders, ended: 10, waited: 10 * time.Minute}
	}
}
