package app

// Waiting returns how many wait for an order.
func (a *App) Waiting(orderID string) int {
	a.watchers.mu.Lock()
	defer a.watchers.mu.Unlock()
	if entry := a.watchers.byID[orderID]; entry != nil {
		return len(entry.all)
	}
	return 0
}
